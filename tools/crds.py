"""CustomResourceDefinitions from the models in tidegate.api, by kube-custom-resource.

The operator must not need that library, so its models are plain pydantic; here each gets a kube-custom-resource twin.
What the library leaves to us: no null types (a structural schema has none), field descriptions instead of those of the
models they hold, defaults in the spec alone (the API server would write those of a status into every object).
"""

import types
from typing import Any

import yaml
from kube_custom_resource.custom_resource import CustomResource, Scope
from kube_custom_resource.registry import CustomResourceRegistry
from kube_custom_resource.schema import remove_fields
from pydantic import BaseModel, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue

from tidegate.api import BrokerConnection, ClusterBrokerConnection, LagPolicy, PartitionProposal, Resource
from tidegate.api.model import GROUP, VERSION, Column, rules

RESOURCES: tuple[type[Resource], ...] = (LagPolicy, PartitionProposal, BrokerConnection, ClusterBrokerConnection)
CATEGORY = "tidegate"


class Structural(GenerateJsonSchema):
    """JSON schema as a structural schema wants it."""

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        """Absent rather than null."""
        return self.generate_inner(schema["schema"])

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        """Without the docstring: every field has a description of its own, and the docstring would win."""
        return {k: v for k, v in super().model_schema(schema).items() if k != "description"}

    def generate(self, schema: Any, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        """Enums without their docstrings either."""
        json = super().generate(schema, mode)
        for definition in json.get("$defs", {}).values():
            definition.pop("description", None)
        return json

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        """A default of None is none."""
        json = super().default_schema(schema)
        return {k: v for k, v in json.items() if k != "default" or v is not None}

    def encode_default(self, dft: Any) -> Any:
        """A model's default is `{}`: the API server fills in the defaults of its fields."""
        return {} if isinstance(dft, BaseModel) else super().encode_default(dft)


def _structural_schema(cls: Any, /, **kwargs: Any) -> Any:
    return super(cls, cls).model_json_schema(schema_generator=Structural, **kwargs)


def _column(column: Column) -> dict[str, Any]:
    wide = {"priority": 1} if column.wide else {}
    return {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
        **wide,
    }


def _twin(resource: type[Resource]) -> type[CustomResource]:
    fields = {name: resource.model_fields[name] for name in ("spec", "status")}
    body = {
        "__module__": __name__,
        "__annotations__": {name: field.annotation for name, field in fields.items()},
        "model_json_schema": classmethod(_structural_schema),
        "spec": Field(description=fields["spec"].description),
        "status": Field(default=None, description=fields["status"].description),
    }
    kwargs = {
        "version": VERSION,
        "scope": Scope.NAMESPACED if resource.names.namespaced else Scope.CLUSTER,
        "plural_name": resource.names.plural,
        "short_names": [resource.names.short],
        "subresources": {"status": {}},
        "printer_columns": [_column(column) for column in resource.names.columns],
    }
    return types.new_class(resource.__name__, (CustomResource,), kwargs, lambda ns: ns.update(body))


def crd(resource: type[Resource]) -> dict[str, Any]:
    """The CustomResourceDefinition of one resource."""
    registry = CustomResourceRegistry(GROUP, [CATEGORY])
    registry.register_model(_twin(resource))
    [definition] = registry
    manifest: dict[str, Any] = definition.kubernetes_resource(include_defaults=True)
    schema = manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["description"] = resource.__doc__
    if resource.checks:
        schema.update(rules(*resource.checks))
    schema["properties"]["status"] = remove_fields(schema["properties"]["status"], "default")  # type: ignore[no-untyped-call]
    return manifest


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Never anchors and aliases: people read this."""
        return True


def crd_yaml(resource: type[Resource]) -> str:
    """Its YAML, as committed."""
    text = yaml.dump(crd(resource), Dumper=_Dumper, width=120, allow_unicode=True)
    return f"# Generated from operator/tidegate/api by `make generate`. Do not edit.\n{text}"
