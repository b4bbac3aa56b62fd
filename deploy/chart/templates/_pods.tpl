{{/* A value that applies to all pods, together with the value of one component, as the YAML of {value: …}:
     (dict "root" $ "component" "serve" "name" "extraEnv"). Lists are joined, dicts are merged, and other values override. An entry of
     the component replaces an entry with the same name or path: server-side apply refuses two of them. */}}
{{- define "seedmint.podValue" -}}
{{- $all := get .root.Values .name }}
{{- $own := get (get .root.Values .component) .name }}
{{- if has .name (list "extraEnv" "extraEnvFrom" "extraVolumes" "extraVolumeMounts" "initContainers" "sidecars" "tolerations" "hostAliases") }}
{{- $key := get (dict "extraEnv" "name" "extraVolumes" "name" "extraVolumeMounts" "mountPath" "initContainers" "name" "sidecars" "name") .name }}
{{- $entries := list }}
{{- range $entry := $all | default list }}
{{- $replaced := false }}
{{- range $own | default list }}
{{- if and $key (eq (get . $key) (get $entry $key)) }}
{{- $replaced = true }}
{{- end }}
{{- end }}
{{- if not $replaced }}
{{- $entries = append $entries $entry }}
{{- end }}
{{- end }}
{{- toYaml (dict "value" (concat $entries ($own | default list))) }}
{{- else if has .name (list "podLabels" "podAnnotations" "nodeSelector" "affinity" "dnsConfig" "podSecurityContext" "securityContext") }}
{{- toYaml (dict "value" (mergeOverwrite (deepCopy ($all | default dict)) (deepCopy ($own | default dict)))) }}
{{- else }}
{{- toYaml (dict "value" ($own | default $all)) }}
{{- end }}
{{- end }}

{{/* Labels and annotations of the pods of a component: (dict "root" $ "component" "serve"). */}}
{{- define "seedmint.podMetadata" -}}
labels:
  {{- $labels := (include "seedmint.podValue" (merge (dict "name" "podLabels") .) | fromYaml).value }}
  {{- include "seedmint.labels" (dict "root" .root "labels" (list $labels (dict "app.kubernetes.io/component" .component))) | nindent 2 }}
{{- with (include "seedmint.podValue" (merge (dict "name" "podAnnotations") .) | fromYaml).value }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The fields of the pods of a component, except containers, volumes and restartPolicy: (dict "root" $ "component" "serve"). */}}
{{- define "seedmint.pod" -}}
{{- $root := .root }}
{{- $part := . }}
{{- $given := dict }}
{{- range list "podSecurityContext" "nodeSelector" "affinity" "dnsConfig" "tolerations" "hostAliases" "topologySpreadConstraints" "priorityClassName" "runtimeClassName" "schedulerName" "initContainers" "sidecars" }}
{{- $_ := set $given . (include "seedmint.podValue" (merge (dict "name" .) $part) | fromYaml).value }}
{{- end }}
{{- $security := $given.podSecurityContext }}
{{- $openshift := $root.Values.openshift | toString }}
{{- if or (eq $openshift "true") (and (eq $openshift "auto") ($root.Capabilities.APIVersions.Has "security.openshift.io/v1")) }}
{{- $security = omit $security "runAsUser" "runAsGroup" "fsGroup" }}
{{- end }}
automountServiceAccountToken: false
serviceAccountName: {{ include "seedmint.serviceAccount" $root | quote }}
enableServiceLinks: false
{{- with $security }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat (($root.Values.global | default dict).imagePullSecrets | default list) ($root.Values.imagePullSecrets | default list) }}
imagePullSecrets:
  {{- range . }}
  - {{ if kindIs "string" . }}name: {{ . | quote }}{{ else }}{{ toYaml . | nindent 4 | trim }}{{ end }}
  {{- end }}
{{- end }}
{{- $tolerations := $given.tolerations | default list }}
{{- if and $root.Values.gpu.enabled (ne .component "test") }}
{{- $tolerations = append $tolerations (dict "key" $root.Values.gpu.resource "operator" "Exists" "effect" "NoSchedule") }}
{{- end }}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $name := list "nodeSelector" "affinity" "dnsConfig" "hostAliases" "priorityClassName" "runtimeClassName" "schedulerName" }}
{{- with get $given $name }}
{{ $name }}:{{ if kindIs "string" . }} {{ . | quote }}{{ else }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}
{{- end }}
{{- with $given.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- $selector := dict "matchLabels" (merge (dict "app.kubernetes.io/component" $part.component) (include "seedmint.selector" $root | fromYaml)) }}
  - {{ toYaml (merge (deepCopy .) (dict "labelSelector" $selector)) | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- $containers := list }}
{{- if ne .component "test" }}
{{- with include "seedmint.fill" . | fromYaml }}
{{- $containers = append $containers . }}
{{- end }}
{{- end }}
{{- if has .component (list "batch" "test") }}
{{- range $given.sidecars }}
{{- $containers = append $containers (merge (dict "restartPolicy" "Always") .) }}
{{- end }}
{{- end }}
{{- with concat $containers ($given.initContainers | default list) }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The containers of the user in the pods of a component that do not end by themselves: (dict "root" $ "component" "serve"). */}}
{{- define "seedmint.sidecars" -}}
{{- with (include "seedmint.podValue" (merge (dict "name" "sidecars") .) | fromYaml).value }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* Image and security context of a container: (dict "root" $ "component" "serve"). */}}
{{- define "seedmint.container" -}}
image: {{ include "seedmint.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- with (include "seedmint.podValue" (merge (dict "name" "securityContext") .) | fromYaml).value }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Entries of `env` from the values: (dict "root" $ "component" "serve"). */}}
{{- define "seedmint.env" -}}
{{- if or .root.Values.privateCA.secret .root.Values.privateCA.configMap }}
{{- range list "AWS_CA_BUNDLE" "SSL_CERT_FILE" }}
- name: {{ . }}
  value: {{ printf "/run/certificates/%s" $.root.Values.privateCA.key | quote }}
{{- end }}
{{- end }}
{{- with (include "seedmint.podValue" (merge (dict "name" "extraEnv") .) | fromYaml).value }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "seedmint.envFrom" -}}
{{- with (include "seedmint.podValue" (merge (dict "name" "extraEnvFrom") .) | fromYaml).value }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Entries of `volumes` from the values: (dict "root" $ "component" "serve"). */}}
{{- define "seedmint.volumes" -}}
{{- $root := .root }}
{{- if ne .component "test" }}
{{- if eq $root.Values.models.source "claim" }}
- name: models
  persistentVolumeClaim:
    claimName: {{ include "seedmint.claim" $root | quote }}
    {{- if include "seedmint.claimReadOnly" $root }}
    readOnly: true
    {{- end }}
{{- else if eq $root.Values.models.source "image" }}
- name: models
  image:
    reference: {{ $root.Values.models.image.reference | quote }}
    pullPolicy: {{ $root.Values.models.image.pullPolicy }}
{{- else if eq $root.Values.models.source "copy" }}
- name: models
  emptyDir:
    sizeLimit: {{ $root.Values.models.image.sizeLimit | quote }}
{{- end }}
{{- end }}
{{- if and $root.Values.models.urls (has .component (list "serve" "jobs")) }}
- name: cache
  emptyDir:
    sizeLimit: {{ div (mul (int64 $root.Values.models.cacheBytes) 5) 4 | quote }}
{{- end }}
{{- with $root.Values.privateCA }}
{{- if .secret }}
- name: certificates
  secret:
    secretName: {{ .secret | quote }}
{{- else if .configMap }}
- name: certificates
  configMap:
    name: {{ .configMap | quote }}
{{- end }}
{{- end }}
{{- with (include "seedmint.podValue" (merge (dict "name" "extraVolumes") .) | fromYaml).value }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Entries of `volumeMounts` for these volumes: (dict "root" $ "component" "serve"). */}}
{{- define "seedmint.mounts" -}}
{{- if and (ne .component "test") (ne .root.Values.models.source "shipped") }}
- name: models
  mountPath: /models
  readOnly: true
{{- end }}
{{- if and .root.Values.models.urls (has .component (list "serve" "jobs")) }}
- name: cache
  mountPath: /cache
{{- end }}
{{- if or .root.Values.privateCA.secret .root.Values.privateCA.configMap }}
- name: certificates
  mountPath: /run/certificates
  readOnly: true
{{- end }}
{{- with (include "seedmint.podValue" (merge (dict "name" "extraVolumeMounts") .) | fromYaml).value }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Init container that copies generators to the volume: (dict "root" $ "component" "serve"). It writes the shipped generators to a
     claim without generators, or the generators of an OCI image to an empty volume. */}}
{{- define "seedmint.fill" -}}
{{- $models := .root.Values.models }}
{{- $resources := (get .root.Values .component).resources | default dict }}
{{- if and (eq $models.source "claim") $models.claim.fill -}}
name: fill
{{ include "seedmint.container" . }}
command:
  - sh
  - -c
  - |
    ls /volume/*.onnx >/dev/null 2>&1 && exit
    for one in /models/*.onnx; do cp "$one" "/volume/.$HOSTNAME.${one##*/}" || exit 1; done
    for one in /models/*.onnx; do mv "/volume/.$HOSTNAME.${one##*/}" "/volume/${one##*/}" || exit 1; done
resources:
  {{- toYaml $resources | nindent 2 }}
volumeMounts:
  - name: models
    mountPath: /volume
{{- else if eq $models.source "copy" -}}
name: copy
image: {{ $models.image.reference | quote }}
imagePullPolicy: {{ $models.image.pullPolicy }}
{{- with (include "seedmint.podValue" (merge (dict "name" "securityContext") .) | fromYaml).value }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
command:
  - cp
  # -f: a restarted pod replaces the files, which are read-only.
  - -Rf
  - /models/.
  - /volume/
resources:
  {{- toYaml $resources | nindent 2 }}
volumeMounts:
  - name: models
    mountPath: /volume
{{- end }}
{{- end }}
