{{/* The value of the label app.kubernetes.io/name. In a parent chart, .Chart.Name is the alias. */}}
{{- define "seedmint.chartName" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name is short enough for suffixes: Kubernetes limits names to 63 characters, and pods of a job have a numeric suffix. A longer
     name ends with its hash, so that names with the same beginning stay different. An alias may have capital letters and underscores,
     which names of objects may not have. */}}
{{- define "seedmint.name" -}}
{{- $chart := include "seedmint.chartName" . | lower | replace "_" "-" }}
{{- $name := .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name)) }}
{{- if gt (len $name) 40 }}{{ $name | trunc 31 | trimSuffix "-" }}-{{ $name | sha256sum | trunc 8 }}{{ else }}{{ $name }}{{ end }}
{{- end }}

{{/* Name of the objects of a component: (dict "root" $ "component" "serve"). */}}
{{- define "seedmint.componentName" -}}
{{ include "seedmint.name" .root }}{{ if ne .component "serve" }}-{{ .component }}{{ end }}
{{- end }}

{{/* Name, namespace, labels and annotations of an object: (dict "root" $ "name" … "labels" (list …) "annotations" (list …)). Each dict
     of these lists may be empty; later ones override earlier ones. */}}
{{- define "seedmint.metadata" -}}
name: {{ .name | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "seedmint.labels" (dict "root" .root "labels" .labels) | nindent 2 }}
{{- $annotations := deepCopy (.root.Values.commonAnnotations | default dict) }}
{{- range .annotations }}
{{- $annotations = mergeOverwrite $annotations (deepCopy (. | default dict)) }}
{{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Labels of an object or of pods: (dict "root" $ "labels" (list …)). Users cannot override the labels of selectors. */}}
{{- define "seedmint.labels" -}}
{{- $root := .root }}
{{- $labels := deepCopy ($root.Values.commonLabels | default dict) }}
{{- $labels = mergeOverwrite $labels (dict "app.kubernetes.io/version" $root.Chart.AppVersion "app.kubernetes.io/managed-by" $root.Release.Service "helm.sh/chart" (include "seedmint.chartLabel" $root)) }}
{{- range .labels }}
{{- $labels = mergeOverwrite $labels (deepCopy (. | default dict)) }}
{{- end }}
{{- toYaml (mergeOverwrite $labels (include "seedmint.selector" $root | fromYaml)) }}
{{- end }}

{{/* Chart and version. A label cannot have the "+" of a version such as 0.1.0+1234abcd, which Flux makes of each revision. */}}
{{- define "seedmint.chartLabel" -}}
{{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- end }}

{{/* Labels of a selector. They never change in a release, because Kubernetes does not allow it. */}}
{{- define "seedmint.selector" -}}
app.kubernetes.io/name: {{ include "seedmint.chartName" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "seedmint.image" -}}
{{- $global := .Values.global | default dict }}
{{- with .Values.image.registry | default $global.imageRegistry }}{{ trimSuffix "/" . }}/{{ end }}
{{- .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end }}
{{- end }}

{{- define "seedmint.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "seedmint.name" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{/* Resources, including GPUs: (dict "root" $ "resources" …). */}}
{{- define "seedmint.resources" -}}
{{- $resources := deepCopy (.resources | default dict) }}
{{- if .root.Values.gpu.enabled }}
{{- $_ := set $resources "limits" (merge (dict .root.Values.gpu.resource .root.Values.gpu.count) ($resources.limits | default dict)) }}
{{- end }}
{{- toYaml $resources }}
{{- end }}

{{- define "seedmint.claim" -}}
{{ .Values.models.claim.existing | default (printf "%s-models" (include "seedmint.name" .)) }}
{{- end }}

{{/* "yes" if no pod can write to the claim of the generators, otherwise empty. */}}
{{- define "seedmint.claimReadOnly" -}}
{{ if eq (.Values.models.claim.accessModes | toJson) (list "ReadOnlyMany" | toJson) }}yes{{ end }}
{{- end }}

{{/* Update strategy: (dict "root" $ "component" "serve"). */}}
{{- define "seedmint.strategy" -}}
{{- $claim := .root.Values.models.claim.accessModes }}
{{- $shared := or (ne .root.Values.models.source "claim") (has "ReadWriteMany" $claim) (has "ReadOnlyMany" $claim) }}
{{- if and (eq .component "serve") .root.Values.serve.updateStrategy }}
{{- toYaml .root.Values.serve.updateStrategy }}
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
{{- if .root.Values.models.urls }}
{{- $_ := set $settings "models" (prepend .root.Values.models.urls "/models") }}
{{- $_ := set $settings "models_cache" "/cache" }}
{{- $_ := set $settings "models_cache_bytes" (int64 .root.Values.models.cacheBytes) }}
{{- end }}
{{- $given := list .root.Values.serve.settings }}
{{- if eq .component "jobs" }}
{{- $given = append $given .root.Values.jobs.settings }}
{{- $_ := set $settings "jobs_url" .root.Values.jobs.url }}
{{- end }}
{{- range $given }}
{{- range $name, $value := . }}
{{- $_ := set $settings $name $value }}
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
