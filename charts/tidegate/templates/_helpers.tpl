{{- define "tidegate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of all objects. At most 40 characters: suffixes such as -proposal-approval must fit into 63. */}}
{{- define "tidegate.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "tidegate.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "tidegate.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/*
The name of an object without a namespace, from (list $ "-suffix"). With watchNamespaces several releases may share a
cluster, so the release's namespace is part of it.
*/}}
{{- define "tidegate.clusterName" -}}
{{- $root := index . 0 }}
{{- $name := printf "%s%s" (include "tidegate.fullname" $root) (index . 1) }}
{{- $root.Values.watchNamespaces | empty | ternary $name (printf "%s-%s" $name $root.Release.Namespace) }}
{{- end }}

{{- define "tidegate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tidegate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tidegate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "tidegate.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/part-of: tidegate
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tidegate.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "tidegate.fullname" .) }}
{{- end }}

{{- define "tidegate.image" -}}
{{- $image := .Values.image }}
{{- printf "%s/%s:%s" $image.registry $image.repository ($image.tag | default .Chart.AppVersion) }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* A duration of values (90s, 2m) in seconds. */}}
{{- define "tidegate.seconds" -}}
{{- hasSuffix "m" . | ternary (mul 60 (trimSuffix "m" .)) (trimSuffix "s" . | int64) }}
{{- end }}

{{/* Settings of every tidegate process: `run`, and `retire` at the end. */}}
{{- define "tidegate.env" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: TIDEGATE_LEASE
  value: $(POD_NAMESPACE)/{{ include "tidegate.fullname" . }}
- name: TIDEGATE_PERIOD
  value: {{ .Values.operator.period | quote }}
- name: TIDEGATE_LISTEN
  value: {{ printf "%s:%v" .Values.operator.listenHost .Values.operator.port | quote }}
- name: TIDEGATE_LOG_LEVEL
  value: {{ .Values.operator.logLevel }}
- name: TIDEGATE_LOG_FORMAT
  value: {{ .Values.operator.logFormat }}
{{- with .Values.watchNamespaces }}
- name: TIDEGATE_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- if .Values.ofrep.enabled }}
- name: TIDEGATE_OFREP_LISTEN
  value: {{ printf "%s:%v" .Values.operator.listenHost .Values.ofrep.port | quote }}
{{- if .Values.ofrep.tokenSecret.name }}
- name: TIDEGATE_OFREP_TOKEN_FILE
  value: /var/run/secrets/tidegate.dev/ofrep/token
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tidegate.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if and .Values.ofrep.enabled .Values.ofrep.tokenSecret.name }}
- name: ofrep-token
  mountPath: /var/run/secrets/tidegate.dev/ofrep
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tidegate.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if and .Values.ofrep.enabled .Values.ofrep.tokenSecret.name }}
- name: ofrep-token
  secret:
    secretName: {{ .Values.ofrep.tokenSecret.name }}
    items:
    - key: {{ .Values.ofrep.tokenSecret.key }}
      path: token
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What a pod of `run` and one of `retire` have in common. */}}
{{- define "tidegate.podSpec" -}}
serviceAccountName: {{ include "tidegate.serviceAccountName" . }}
automountServiceAccountToken: true
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{ toYaml . }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
{{ toYaml . }}
{{- end }}
volumes:
{{ include "tidegate.volumes" . }}
{{- end }}

{{/* What their containers have in common. */}}
{{- define "tidegate.container" -}}
name: tidegate
image: {{ include "tidegate.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
{{ include "tidegate.env" . }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
{{ include "tidegate.volumeMounts" . }}
{{- end }}
