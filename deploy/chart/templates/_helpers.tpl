{{- define "seedmint.labels" -}}
{{ include "seedmint.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "seedmint.selector" -}}
app.kubernetes.io/name: seedmint
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "seedmint.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end }}
{{- end }}

{{- define "seedmint.claim" -}}
{{ .Values.models.claim.existing | default (printf "%s-models" .Release.Name) }}
{{- end }}

{{/* What every pod may do: nothing but its work. */}}
{{- define "seedmint.podSecurity" -}}
automountServiceAccountToken: false
serviceAccountName: {{ .Release.Name }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "seedmint.containerSecurity" -}}
image: {{ include "seedmint.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop:
      - ALL
{{- end }}

{{/* Where pods go. */}}
{{- define "seedmint.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $tolerations := .Values.tolerations }}
{{- if .Values.gpu.enabled }}
{{- $tolerations = append $tolerations (dict "key" .Values.gpu.resource "operator" "Exists" "effect" "NoSchedule") }}
{{- end }}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and .Values.gpu.enabled .Values.gpu.runtimeClass }}
runtimeClassName: {{ .Values.gpu.runtimeClass }}
{{- end }}
{{- end }}

{{/* Resources, with the GPUs. Call with (dict "root" $ "resources" …). */}}
{{- define "seedmint.resources" -}}
{{- $resources := deepCopy .resources }}
{{- if .root.Values.gpu.enabled }}
{{- $_ := set $resources "limits" (merge (dict .root.Values.gpu.resource .root.Values.gpu.count) ($resources.limits | default dict)) }}
{{- end }}
{{- toYaml $resources }}
{{- end }}

{{- define "seedmint.modelsVolume" -}}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
{{- if eq .Values.models.source "claim" }}
- name: models
  persistentVolumeClaim:
    claimName: {{ include "seedmint.claim" . }}
{{- else if eq .Values.models.source "image" }}
- name: models
  image:
    reference: {{ required "models.image.reference names the image with the generators" .Values.models.image.reference }}
    pullPolicy: {{ .Values.models.image.pullPolicy }}
{{- end }}
{{- end }}

{{- define "seedmint.modelsMount" -}}
- name: tmp
  mountPath: /tmp
{{- if ne .Values.models.source "shipped" }}
- name: models
  mountPath: /models
  readOnly: true
{{- end }}
{{- end }}

{{/* A value as quoted text. Helm reads numbers as floats, and `quote` would write a million as 1e+06. */}}
{{- define "seedmint.text" -}}
{{- if kindIs "string" . }}{{ . | quote }}{{ else }}{{ toJson . | quote }}{{ end -}}
{{- end }}
