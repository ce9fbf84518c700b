{{- /* Names are fixed: a cluster has one APIService for external metrics, so one release. They are
those of the walkthrough, whose commands so work after `helm install` too. */}}
{{- define "agent.name" -}}datadog-cluster-agent{{- end }}
{{- define "agent.metricsService" -}}datadog-custom-metrics-server{{- end }}
{{- define "agent.apiService" -}}v1beta1.external.metrics.k8s.io{{- end }}
{{- define "agent.servingSecret" -}}
{{- if eq .Values.clusterAgent.metricsProvider.tls.mode "secret" -}}
{{ required "clusterAgent.metricsProvider.tls.existingSecret: name the Secret with the certificate" .Values.clusterAgent.metricsProvider.tls.existingSecret }}
{{- else -}}
datadog-cluster-agent-serving
{{- end }}
{{- end }}

{{- define "agent.labels" -}}
app: {{ include "agent.name" . }}
{{ include "agent.standardLabels" . }}
{{- end }}

{{- define "agent.standardLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- with .Values.clusterAgent.additionalLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "agent.subject" -}}
- kind: ServiceAccount
  name: {{ .Values.clusterAgent.rbac.serviceAccountName }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- /* "true" where one replica is to be elected. */}}
{{- define "agent.elects" -}}
{{- $said := .Values.datadog.leaderElection }}
{{- $several := gt (int .Values.clusterAgent.replicas) 1 }}
{{- if and $several (eq (toString $said) "false") }}
{{- fail "datadog.leaderElection: false with clusterAgent.replicas > 1 would have every replica ask Datadog; leave it out, or set 1 replica" }}
{{- end }}
{{- if or $several (eq (toString $said) "true") }}true{{ end }}
{{- end }}

{{- define "agent.apiKeySecret" -}}
{{- include "agent.keySecret" (dict "root" . "given" .Values.datadog.apiKey "existing" .Values.datadog.apiKeyExistingSecret "name" "apiKey") }}
{{- end }}
{{- define "agent.appKeySecret" -}}
{{- include "agent.keySecret" (dict "root" . "given" .Values.datadog.appKey "existing" .Values.datadog.appKeyExistingSecret "name" "appKey") }}
{{- end }}
{{- define "agent.keySecret" -}}
{{- if and .given .existing }}
{{- fail (printf "datadog.%s and datadog.%sExistingSecret: set one of them" .name .name) }}
{{- else if .existing }}{{ .existing }}
{{- else if .given }}{{ include "agent.name" .root }}-keys
{{- else }}
{{- fail (printf "datadog.%sExistingSecret: name the Secret with the key (kubectl create secret generic datadog-keys --from-literal=api-key=… --from-literal=app-key=…)" .name) }}
{{- end }}
{{- end }}
