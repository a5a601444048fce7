{{/* What the templates share. Arguments are (dict "root" $ "name" NAME …). */}}

{{- define "meterline.selector" -}}
app.kubernetes.io/name: meterline
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .name }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "meterline.labels" -}}
{{ include "meterline.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "meterline.image" -}}
{{ with .root.Values.image }}{{ .repository }}/{{ $.name }}:{{ .tag | default $.root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* A pod as the standard `restricted` wants it. */}}
{{- define "meterline.pod" -}}
automountServiceAccountToken: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- /* A container, with the secrets of that list as files. */}}
{{- define "meterline.container" -}}
image: {{ include "meterline.image" (dict "root" .root "name" .image) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
env:
  {{- range .secrets }}
  - {name: {{ upper . }}_FILE, value: /etc/meterline/{{ . }}}
  {{- end }}
resources:
  {{- toYaml .resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "meterline.secrets" -}}
{{- $login := (index .root.Values .name).databaseUrlKey }}
name: secrets
secret:
  secretName: {{ .root.Values.existingSecret }}
  items:
    {{- range .secrets }}
    - {key: {{ ternary $login . (eq . "database_url") }}, path: {{ . }}}
    {{- end }}
{{- end }}

{{- define "meterline.stage" -}}
{{- $name := printf "%s-%s" .root.Release.Name .name }}
{{- $values := index .root.Values .name }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels:
    {{- include "meterline.labels" . | nindent 4 }}
spec:
  replicas: {{ $values.replicas }}
  selector:
    matchLabels:
      {{- include "meterline.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "meterline.selector" . | nindent 8 }}
      annotations:
        checksum/settings: {{ .root.Values.settings | toJson | sha256sum }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "meterline.pod" . | nindent 6 }}
      terminationGracePeriodSeconds: 15 # it hands back what is in flight within 10 s
      {{- if gt (int $values.replicas) 1 }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "meterline.selector" . | nindent 14 }}
      {{- end }}
      containers:
        - name: {{ .name }}
          {{- include "meterline.container" (merge (dict "image" .name "resources" $values.resources) .) | nindent 10 }}
          {{- with .args }}
          args: {{ toJson . }}
          {{- end }}
          envFrom:
            - configMapRef: {name: {{ .root.Release.Name }}}
          ports:
            {{- if .http }}
            - {name: http, containerPort: {{ .http }}}
            {{- end }}
            - {name: ops, containerPort: {{ .ops }}}
          livenessProbe:
            httpGet: {path: /healthz, port: ops}
            timeoutSeconds: 3
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /readyz, port: ops}
            timeoutSeconds: 3
          volumeMounts:
            - {name: secrets, mountPath: /etc/meterline, readOnly: true}
      volumes:
        - {{- include "meterline.secrets" . | nindent 10 }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels:
    {{- include "meterline.labels" . | nindent 4 }}
  annotations:
    prometheus.io/scrape: "true"
    prometheus.io/port: {{ .ops | quote }}
spec:
  {{- if not .http }}
  clusterIP: None # nothing but Prometheus asks, each pod by itself
  {{- end }}
  selector:
    {{- include "meterline.selector" . | nindent 4 }}
  ports:
    {{- if .http }}
    - {name: http, port: 80, targetPort: http}
    {{- end }}
    - {name: ops, port: {{ .ops }}, targetPort: ops}
{{- if gt (int $values.replicas) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  labels:
    {{- include "meterline.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "meterline.selector" . | nindent 6 }}
{{- end }}
{{- end }}
