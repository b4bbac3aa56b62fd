{{/* The name is short enough for suffixes: Kubernetes limits names to 63 characters, and pods of a job have a numeric suffix. */}}
{{- define "seedmint.name" -}}
{{ .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Metadata of a Deployment and its Service: (dict "root" $ "component" "serve"). */}}
{{- define "seedmint.componentName" -}}
{{ include "seedmint.name" .root }}{{ if ne .component "serve" }}-{{ .component }}{{ end }}
{{- end }}

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
{{ .Values.models.claim.existing | default (printf "%s-models" (include "seedmint.name" .)) }}
{{- end }}

{{/* Security settings of every pod. */}}
{{- define "seedmint.podSecurity" -}}
automountServiceAccountToken: false
serviceAccountName: {{ include "seedmint.name" . }}
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

{{/* Scheduling of the pods. */}}
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

{{/* Resources, including GPUs: (dict "root" $ "resources" …). */}}
{{- define "seedmint.resources" -}}
{{- $resources := deepCopy (.resources | default dict) }}
{{- if .root.Values.gpu.enabled }}
{{- $_ := set $resources "limits" (merge (dict .root.Values.gpu.resource .root.Values.gpu.count) ($resources.limits | default dict)) }}
{{- end }}
{{- toYaml $resources }}
{{- end }}

{{- define "seedmint.modelsVolume" -}}
{{- if eq .Values.models.source "claim" }}
- name: models
  persistentVolumeClaim:
    claimName: {{ include "seedmint.claim" . }}
{{- else if eq .Values.models.source "image" }}
{{- if semverCompare "<1.33.0-0" .Capabilities.KubeVersion.Version }}
{{- fail "models.source=image requires Kubernetes 1.35, or 1.33 with the feature gate ImageVolume" }}
{{- end }}
- name: models
  image:
    reference: {{ required "models.image.reference is required" .Values.models.image.reference }}
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

{{/* Update strategy: (dict "root" $ "component" "serve"). */}}
{{- define "seedmint.strategy" -}}
{{- $claim := .root.Values.models.claim.accessModes }}
{{- $shared := or (ne .root.Values.models.source "claim") (has "ReadWriteMany" $claim) (has "ReadOnlyMany" $claim) }}
{{- if and (eq .component "serve") .root.Values.serve.strategy }}
{{- toYaml .root.Values.serve.strategy }}
{{- else if or (ne .component "serve") (not $shared) -}}
# The old pod must release a volume that only one pod can mount.
type: Recreate
{{- else if .root.Values.gpu.enabled -}}
# The update needs no spare GPU.
type: RollingUpdate
rollingUpdate:
  maxUnavailable: 1
  maxSurge: 0
{{- else -}}
type: RollingUpdate
rollingUpdate:
  maxUnavailable: 0
  maxSurge: 1
{{- end }}
{{- end }}

{{/* The settings of the service as JSON: (dict "root" $ "component" "serve"). Settings of the user override defaults. */}}
{{- define "seedmint.settings" -}}
{{- $settings := dict "log_format" "json" }}
{{- if .root.Values.apiKeys.secret }}
{{- $_ := set $settings "api_keys_file" (printf "/run/secrets/seedmint/%s" .root.Values.apiKeys.key) }}
{{- end }}
{{- if .root.Values.gpu.enabled }}
{{- $_ := set $settings "provider" "cuda" }}
{{- end }}
{{- $given := list .root.Values.serve.settings }}
{{- if eq .component "jobs" }}
{{- $given = append $given .root.Values.jobs.settings }}
{{- $_ := set $settings "jobs_url" .root.Values.jobs.url }}
{{- end }}
{{- range $given }}
{{- range $name, $value := . }}
{{- $_ := set $settings (lower $name) $value }}
{{- end }}
{{- end }}
{{- toJson $settings }}
{{- end }}

{{/* "yes" if the jobs are stored in an object store, otherwise empty. */}}
{{- define "seedmint.jobsAway" -}}
{{ if contains "://" .Values.jobs.url }}yes{{ end }}
{{- end }}

{{- define "seedmint.jobsClaim" -}}
{{ .Values.jobs.claim.existing | default (printf "%s-jobs" (include "seedmint.name" .)) }}
{{- end }}

{{/* A value as a quoted string. Helm parses numbers as floats, and `quote` writes 1000000 as 1e+06. */}}
{{- define "seedmint.text" -}}
{{- if kindIs "string" . }}{{ . | quote }}{{ else if kindIs "slice" . }}{{ join "," . | quote }}{{ else }}{{ toJson . | quote }}{{ end -}}
{{- end }}

{{/* Init container that copies the shipped generators to a volume without generators: (dict "root" $ "resources" ...). */}}
{{- define "seedmint.fill" -}}
{{- if and (eq .root.Values.models.source "claim") .root.Values.models.claim.fill -}}
initContainers:
  - name: fill
    {{- include "seedmint.containerSecurity" .root | nindent 4 }}
    command:
      - sh
      - -c
      - |
        ls /volume/*.onnx >/dev/null 2>&1 && exit
        for one in /models/*.onnx; do cp "$one" "/volume/.$HOSTNAME.${one##*/}" || exit 1; done
        for one in /models/*.onnx; do mv "/volume/.$HOSTNAME.${one##*/}" "/volume/${one##*/}" || exit 1; done
    resources:
      {{- toYaml (.resources | default dict) | nindent 6 }}
    volumeMounts:
      - name: models
        mountPath: /volume
{{- end }}
{{- end }}
