{{/* What a schema cannot say: values that are right alone and wrong together. */}}
{{- define "tidegate.checks" -}}
{{- if and (not .Values.serviceAccount.create) (empty .Values.serviceAccount.name) }}
{{- fail "serviceAccount.create is false: name the ServiceAccount that is there in serviceAccount.name" }}
{{- end }}
{{- if and .Values.ofrep.enabled (eq (int .Values.ofrep.port) (int .Values.operator.port)) }}
{{- fail (printf "ofrep.port is %v, as operator.port is: two servers need two ports" .Values.ofrep.port) }}
{{- end }}
{{- with .Values.podDisruptionBudget }}
{{- $least := toString .minAvailable }}
{{- $most := toString .maxUnavailable }}
{{- if not .enabled }}
{{- else if ne $least "" }}
{{- if or (eq $least "100%") (and (not (hasSuffix "%" $least)) (ge (int $least) (int $.Values.replicaCount))) }}
{{- fail (printf "podDisruptionBudget.minAvailable is %s of %v replicas: no node with one of them could be drained" $least $.Values.replicaCount) }}
{{- end }}
{{- else if eq $most "" }}
{{- fail "podDisruptionBudget: give maxUnavailable or minAvailable" }}
{{- else if has $most (list "0" "0%" "00%") }}
{{- fail (printf "podDisruptionBudget.maxUnavailable is %s: no node with one of the pods could be drained" $most) }}
{{- end }}
{{- end }}
{{- $alerts := list }}
{{- range (.Files.Get "files/alerts.yaml" | fromYaml).groups }}
{{- range .rules }}
{{- with .alert }}
{{- $alerts = append $alerts . }}
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.metrics.prometheusRule.disabled }}
{{- if not (has . $alerts) }}
{{- fail (printf "metrics.prometheusRule.disabled: there is no alert %s; there are %s" . (join ", " $alerts)) }}
{{- end }}
{{- end }}
{{- end }}
