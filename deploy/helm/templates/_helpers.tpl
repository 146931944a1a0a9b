{{- define "onramp.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "onramp.labels" -}}
{{ include "onramp.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{- define "onramp.selector" -}}
app.kubernetes.io/name: onramp
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "onramp.image" -}}
{{- .Values.image.repository }}@{{ .Values.image.digest }}
{{- end -}}

{{- /* What every pod has in common: no identity, user 10001, restricted. */ -}}
{{- define "onramp.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "onramp.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "onramp.selector" . | nindent 8 }}
{{- end -}}

{{- define "onramp.container" -}}
image: {{ include "onramp.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- /* Inline instead of a ConfigMap: the migration runs before anything of this chart exists, and a changed setting restarts the pods. */ -}}
{{- define "onramp.environment" -}}
{{- range $name, $value := .settings }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- if and .root.Values.policy (not .withoutPolicy) }}
- name: TREASURY_POLICY
  value: /etc/onramp/treasury.toml
{{- end }}
{{- end -}}

{{- define "onramp.secrets" -}}
{{- range . }}
{{- if . }}
- secretRef:
    name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "onramp.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.policy }}
- name: policy
  mountPath: /etc/onramp
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "onramp.volumes" -}}
- name: tmp
  emptyDir:
    medium: Memory
    sizeLimit: 64Mi
{{- if .Values.policy }}
- name: policy
  configMap:
    name: {{ include "onramp.name" . }}-policy
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "onramp.annotations" -}}
{{- if .Values.policy }}
checksum/policy: {{ .Values.policy | sha256sum }}
{{- end }}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "onramp.workers" -}}
inbox,reconcile,deliveries,audit,janitor,outbox,webhooks,mail,notices
{{- end -}}
