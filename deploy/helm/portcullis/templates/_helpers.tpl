{{- define "portcullis.name" -}}
{{- printf "%s" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "portcullis.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "portcullis.selector" -}}
app.kubernetes.io/name: portcullis
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "portcullis.labels" -}}
{{ include "portcullis.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "portcullis.redis" -}}
{{- if or .Values.redis.url .Values.redis.sentinels .Values.redis.cluster }}yes{{ end -}}
{{- end -}}

{{/*
What of the file a running node cannot take over: when it changes, the nodes are started anew, one after the other. The rest is
`config` of the values, which they read by themselves. Strings are written as JSON, which TOML understands.
*/}}
{{- define "portcullis.fixed" -}}
{{- $name := include "portcullis.name" . -}}
version = 1

[server]
grace_period = "{{ .Values.drain.grace }}s"
watch = true

[data]
dir = "/var/lib/portcullis"

[internal]
address = "0.0.0.0:9901"
probes = true
{{- if .Values.internal.secretName }}
token = "file:/etc/portcullis/operator/token"
{{- end }}

[store]
url = {{ required "database.url: the address of PostgreSQL, such as postgres://portcullis@db.internal/portcullis" .Values.database.url | toJson }}
password = "file:/etc/portcullis/database/password"
connections = {{ .Values.database.connections }}

[secrets]
master_keys = ["file:/etc/portcullis/master/master.key"]

[link]
listen = "0.0.0.0:9902"
identity = [{{ range $i := until (int .Values.identity.replicas) }}{{ if $i }}, {{ end }}"{{ $name }}-identity-{{ $i }}.{{ $name }}-identity.{{ $.Release.Namespace }}.svc:9902"{{ end }}]
server_name = "{{ $name }}-identity"
cert = "/etc/portcullis/link/tls.crt"
key = "/etc/portcullis/link/tls.key"
ca = "/etc/portcullis/link/ca.crt"
names = ["DNS:{{ $name }}-edge"]
stale_for = {{ .Values.link.staleFor | toJson }}
{{- if include "portcullis.redis" . }}

[redis]
{{- if .Values.redis.sentinels }}
sentinels = {{ .Values.redis.sentinels | toJson }}
master = {{ required "redis.master: the name that the sentinels know the primary by" .Values.redis.master | toJson }}
{{- else if .Values.redis.cluster }}
cluster = {{ .Values.redis.cluster | toJson }}
{{- else }}
url = {{ .Values.redis.url | toJson }}
{{- end }}
{{- if .Values.redis.username }}
username = {{ .Values.redis.username | toJson }}
{{- end }}
{{- if .Values.redis.secretName }}
password = "file:/etc/portcullis/redis/password"
{{- end }}
{{- if .Values.redis.caKey }}
tls = { authorities = "file:/etc/portcullis/redis/ca.crt" }
{{- end }}
nodes = {{ add .Values.identity.replicas (.Values.edge.autoscaling.enabled | ternary .Values.edge.autoscaling.minReplicas .Values.edge.replicas) }}
{{- end }}

[[listener]]
name = "public"
address = "0.0.0.0:8000"
{{- if .Values.edge.tls.secretName }}
tls = { certificates = [{ cert = "/etc/portcullis/tls/tls.crt", key = "/etc/portcullis/tls/tls.key" }] }
{{- end }}
{{- end -}}

{{/* What both planes share of a pod. */}}
{{- define "portcullis.pod" -}}
serviceAccountName: {{ include "portcullis.name" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ add .root.Values.drain.wait .root.Values.drain.grace 15 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: { type: RuntimeDefault }
{{- with .node.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .node.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "portcullis.container" -}}
image: {{ include "portcullis.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: ["ALL"] }
{{- end -}}

{{/* Mounts and volumes of a plane: `secrets` are those that it may read. */}}
{{- define "portcullis.mounts" -}}
- { name: config, mountPath: /etc/portcullis/fleet, readOnly: true }
- { name: data, mountPath: /var/lib/portcullis }
{{- range $name := .secrets }}
- { name: {{ $name }}, mountPath: /etc/portcullis/{{ $name }}, readOnly: true }
{{- end }}
{{- end -}}

{{- define "portcullis.volumes" -}}
- name: config
  configMap: { name: {{ .config }} }
- name: data
  emptyDir: { medium: Memory, sizeLimit: 64Mi }
{{- $values := .root.Values }}
{{- range $name := .secrets }}
- name: {{ $name }}
  secret:
    {{- if eq $name "link" }}
    secretName: {{ $.link }}
    {{- else if eq $name "database" }}
    secretName: {{ $values.database.secretName }}
    items:
      - { key: {{ $values.database.passwordKey }}, path: password }
      {{- with $values.database.caKey }}
      - { key: {{ . }}, path: ca.crt }
      {{- end }}
    {{- else if eq $name "master" }}
    secretName: {{ $values.master.secretName }}
    items:
      - { key: {{ $values.master.key }}, path: master.key }
    {{- else if eq $name "redis" }}
    secretName: {{ $values.redis.secretName }}
    items:
      - { key: {{ $values.redis.passwordKey }}, path: password }
      {{- with $values.redis.caKey }}
      - { key: {{ . }}, path: ca.crt }
      {{- end }}
    {{- else if eq $name "operator" }}
    secretName: {{ $values.internal.secretName }}
    items:
      - { key: {{ $values.internal.key }}, path: token }
    {{- else if eq $name "tls" }}
    secretName: {{ $values.edge.tls.secretName }}
    {{- end }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* Probes and the end of a node. Kubernetes takes a pod out of its service while it already stops: so it waits first. */}}
{{- define "portcullis.life" -}}
startupProbe:
  httpGet: { path: /readyz, port: internal }
  periodSeconds: 1
  failureThreshold: 90
readinessProbe:
  httpGet: { path: /readyz, port: internal }
  periodSeconds: 2
  failureThreshold: 2
livenessProbe:
  httpGet: { path: /livez, port: internal }
  periodSeconds: 10
  failureThreshold: 3
lifecycle:
  preStop:
    sleep: { seconds: {{ .Values.drain.wait }} }
{{- end -}}
