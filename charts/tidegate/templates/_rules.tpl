{{/*
The rights of the operator, and why. Cluster-wide they are ClusterRoles; with watchNamespaces, Roles in each namespace.

Left out on purpose: patch or update of Deployments and StatefulSets themselves (their /scale is enough), anything on
pods but reading them, list or watch of Secrets (each is fetched by the name that a connection gives).
*/}}
{{- define "tidegate.rules.own" -}}
# Its own resources are read, never changed: what people wrote stays as they wrote it.
- apiGroups: [tidegate.dev]
  resources: [lagpolicies, brokerconnections]
  verbs: [list, watch]
# A policy is read again before its flags are switched: the record in its status must be the newest.
- apiGroups: [tidegate.dev]
  resources: [lagpolicies]
  verbs: [get]
# But for a finalizer: while features are off (spec.degradation) it keeps a policy from going before they are back.
- apiGroups: [tidegate.dev]
  resources: [lagpolicies]
  verbs: [patch]
# What was measured and decided is written to their status only.
- apiGroups: [tidegate.dev]
  resources: [lagpolicies/status, brokerconnections/status]
  verbs: [patch]
{{- if .Values.rbac.partitions }}
# Partition proposals are made by Tidegate, and closed ones are deleted after a while. They are patched for a finalizer
# alone, which keeps one until its paused target has been scaled back. The verb propose is not the API's: approval.yaml
# asks for it, so that nobody else makes one. Deciding is not among these rights: that takes the verb approve.
- apiGroups: [tidegate.dev]
  resources: [partitionproposals]
  verbs: [get, list, watch, create, patch, delete, propose]
- apiGroups: [tidegate.dev]
  resources: [partitionproposals/status]
  verbs: [patch]
# Where the API server checks it (OwnerReferencesPermissionEnforcement), an owner reference that blocks the deletion of
# the policy, until its proposal has put the target back, needs this; nothing is written there.
- apiGroups: [tidegate.dev]
  resources: [lagpolicies/finalizers]
  verbs: [update]
{{- else }}
# Partition proposals are watched, but none is made or carried out (rbac.partitions).
- apiGroups: [tidegate.dev]
  resources: [partitionproposals]
  verbs: [get, list, watch]
{{- end }}
# Targets: their replicas, their template's revision, and who else writes their replicas.
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [list, watch]
# Which replicas are ready and since when: capacity and start-up time are learned from it.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# A target that an HPA or a ScaledObject scales is left alone; without these rights two autoscalers could fight.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [list, watch]
# What happened is told in Events; repeats are dropped before they are written, so none is ever patched.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{- define "tidegate.rules.clusterConnections" -}}
# Connections for the policies of all namespaces, which have no namespace themselves.
- apiGroups: [tidegate.dev]
  resources: [clusterbrokerconnections]
  verbs: [list, watch]
- apiGroups: [tidegate.dev]
  resources: [clusterbrokerconnections/status]
  verbs: [patch]
{{- end }}

{{- define "tidegate.rules.kinds" -}}
# Kinds that are installed later (KEDA's) are noticed.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [list, watch]
{{- end }}

{{- define "tidegate.rules.scale" -}}
# The one right that changes a workload: how many replicas it has.
- apiGroups: [apps]
  resources: [deployments/scale, statefulsets/scale, replicasets/scale]
  verbs: [get, patch]
{{- end }}

{{- define "tidegate.rules.scaleTargets" -}}
{{- range .Values.rbac.scaleTargets }}
- apiGroups: [{{ .group | quote }}]
  resources: [{{ .resource }}/scale]
  verbs: [get, patch]
{{- end }}
{{- end }}

{{- define "tidegate.rules.secrets" -}}
# Secrets that connections refer to, each by the name that a connection gives; a missing right is named in the
# condition Connected of the connection.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- end }}

{{- define "tidegate.rules.flags" -}}
# Flags of degradation ladders (spec.degradation): each object is read by the name that flagsRef gives, and nothing but
# the defaultVariant of the flags that the levels list is written; a missing right is named in the condition Ready.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, patch]
- apiGroups: [core.openfeature.dev]
  resources: [featureflags]
  verbs: [get, patch]
{{- end }}

{{- define "tidegate.rules.lease" -}}
# One process acts: the holder of this Lease. A name cannot be given for create.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "tidegate.fullname" . }}]
  verbs: [get, update]
{{- end }}

{{/* A ClusterRole and its binding to the operator, from (list $ "-suffix" "rules"). */}}
{{- define "tidegate.clusterRole" -}}
{{- $root := index . 0 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ include "tidegate.clusterName" (list $root (index . 1)) }}
  labels:
    {{- include "tidegate.labels" $root | nindent 4 }}
rules:
{{ index . 2 | trim }}
{{ include "tidegate.clusterRoleBinding" (list $root (index . 1)) }}
{{- end }}

{{- define "tidegate.clusterRoleBinding" -}}
{{- $root := index . 0 }}
{{- $name := include "tidegate.clusterName" . }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels:
    {{- include "tidegate.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $name }}
subjects:
{{ include "tidegate.subject" $root }}
{{- end }}

{{/* A Role and its binding to the operator, from (list $ "namespace" "-suffix" "rules"). */}}
{{- define "tidegate.role" -}}
{{- $root := index . 0 }}
{{- $name := printf "%s%s" (include "tidegate.fullname" $root) (index . 2) }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ index . 1 }}
  labels:
    {{- include "tidegate.labels" $root | nindent 4 }}
rules:
{{ index . 3 | trim }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ index . 1 }}
  labels:
    {{- include "tidegate.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
{{ include "tidegate.subject" $root }}
{{- end }}

{{- define "tidegate.subject" -}}
- kind: ServiceAccount
  name: {{ include "tidegate.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
