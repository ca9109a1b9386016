"""A pod's volumes as folders, and its mounts as links below POD_ROOT.

A volume's files lie in a folder of their own that the link `..data` names; each file's name is a link through
`..data`. An update writes a new folder and moves `..data` to it in one step, so a reader sees the old files or the new
ones, as with the real kubelet. And as there, what is mounted by `subPath` stays as it was when the pod started.
"""

import itertools
import shutil
from pathlib import Path, PurePosixPath

import yaml

from demo.stack.kubectl import kubeconfig
from demo.stack.kubelet.client import Object
from demo.stack.kubelet.fields import field
from demo.stack.kubelet.sources import Data, MissingError, Sources, Token

ACCOUNT = "var/run/secrets/kubernetes.io/serviceaccount"
REFERENCES = {"configMap": ("configmaps", "name"), "secret": ("secrets", "secretName")}


class Volumes:
    """The volumes of one pod in `sandbox`; `root` is its POD_ROOT."""

    def __init__(self, pod: Object, sandbox: Path, sources: Sources) -> None:
        self.pod = pod
        self.root = sandbox / "root"
        self._folder = sandbox / "volumes"
        self._sources = sources
        self._written: dict[str, Data] = {}
        self._tokens: dict[str, Token] = {}
        self._versions = itertools.count()

    async def create(self) -> None:
        """Fill every volume and lay the mounts. Raises MissingError, or ValueError for an unknown kind."""
        await self.update()
        spec = self.pod["spec"]
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            for mount in container.get("volumeMounts", ()):
                self._mount(mount)
        (self.root / "tmp").mkdir(parents=True, exist_ok=True)  # unless a volume is mounted there
        if (self.root / ACCOUNT).exists():
            self._write_kubeconfig()

    async def update(self) -> None:
        """Write again what changed."""
        for volume in self.pod["spec"].get("volumes", ()):
            name = volume["name"]
            if "emptyDir" in volume:
                (self._folder / name).mkdir(parents=True, exist_ok=True)
            elif "hostPath" in volume:
                _link(self._folder / name, Path(volume["hostPath"]["path"]))
            else:
                self._write(name, await self._data(name, volume))

    def refers_to(self, kind: str, name: str) -> bool:
        """Whether a volume is made of this ConfigMap (`configmaps`) or Secret (`secrets`)."""
        sources = [source for volume in self.pod["spec"].get("volumes", ()) for source in _parts(volume)]
        return any(
            source[given].get(key, source[given].get("name")) == name
            for source in sources
            for given, (of_kind, key) in REFERENCES.items()
            if given in source and of_kind == kind
        )

    def has_tokens(self) -> bool:
        """Whether a volume holds a token, which needs to be renewed."""
        return bool(self._tokens)

    async def _data(self, name: str, volume: Object) -> Data:
        data: Data = {}
        for source in _parts(volume):
            data |= await self._part(name, source)
        return data

    async def _part(self, volume: str, source: Object) -> Data:
        if "serviceAccountToken" in source:
            asked = source["serviceAccountToken"]
            token = self._tokens.setdefault(
                f"{volume}/{asked['path']}", Token(asked.get("audience"), asked.get("expirationSeconds", 3600))
            )
            return {asked["path"]: (await token.value(self._sources, self.pod)).encode()}
        if "downwardAPI" in source:
            items = source["downwardAPI"].get("items", ())
            return {item["path"]: field(self.pod, item["fieldRef"]["fieldPath"]).encode() for item in items}
        for given, (kind, key) in REFERENCES.items():
            if given in source:
                return await self._referenced(kind, source[given].get(key) or source[given]["name"], source[given])
        raise ValueError(f"the process kubelet does not know volumes of the kind {sorted(source)}")

    async def _referenced(self, kind: str, name: str, source: Object) -> Data:
        optional = source.get("optional", False)
        data = await self._sources.data(kind, self.pod["metadata"]["namespace"], name, optional=optional)
        if "items" not in source:
            return data
        missing = [item["key"] for item in source["items"] if item["key"] not in data]
        if missing and not optional:
            raise MissingError(f"{kind.removesuffix('s')} {name!r} has no key {missing[0]!r}")
        return {item["path"]: data[item["key"]] for item in source["items"] if item["key"] in data}

    def _write(self, name: str, data: Data) -> None:
        if self._written.get(name) == data:
            return
        volume = self._folder / name
        version = f"..{next(self._versions)}"
        for path, content in data.items():
            (volume / version / path).parent.mkdir(parents=True, exist_ok=True)
            (volume / version / path).write_bytes(content)
        (volume / version).mkdir(parents=True, exist_ok=True)
        data_link = volume / "..data"
        before = data_link.readlink() if data_link.is_symlink() else None
        _link(data_link, Path(version))
        tops = {PurePosixPath(path).parts[0] for path in data}
        for top in tops:
            _link(volume / top, Path("..data") / top)
        for gone in (path for path in volume.iterdir() if not path.name.startswith("..") and path.name not in tops):
            gone.unlink()
        if before is not None:
            shutil.rmtree(volume / before)
        self._written[name] = data

    def _mount(self, mount: Object) -> None:
        volume = self._folder / mount["name"]
        target = volume / mount.get("subPath", "")
        place = self.root / mount["mountPath"].lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if target != volume and (volume / "..data").exists():
            _copy(target, place)
        else:
            _link(place, target)

    def _write_kubeconfig(self) -> None:
        """For clients that would look for the token at its fixed place, which a process without mounts has not."""
        account = self.root / ACCOUNT
        cluster = {"server": self._sources.client.server, "certificate-authority": str(account / "ca.crt")}
        user = {"tokenFile": str(account / "token")}
        config = kubeconfig(cluster, user, "serviceaccount", self.pod["metadata"]["namespace"])
        (self.root.parent / "kubeconfig").write_text(yaml.safe_dump(config))


def _parts(volume: Object) -> list[Object]:
    """The sources of a volume: several where it is projected."""
    if "projected" in volume:
        return list(volume["projected"].get("sources", ()))
    return [{kind: spec for kind, spec in volume.items() if kind != "name"}]


def _copy(source: Path, to: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, to, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, to)


def _link(link: Path, target: Path) -> None:
    """Make or move a symbolic link in one step."""
    new = link.with_name(f"{link.name}.new")
    link.parent.mkdir(parents=True, exist_ok=True)
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
