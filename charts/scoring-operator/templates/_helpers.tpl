{{/* Name of all objects of the release: the release's own where it tells enough. */}}
{{- define "scoring-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Names of what the chart's hooks use; a name of its own each, so that no hook deletes what another one needs. */}}
{{- define "scoring-operator.crdsName" -}}
{{- printf "%s-crds" (include "scoring-operator.fullname" . | trunc 58 | trimSuffix "-") -}}
{{- end -}}
{{- define "scoring-operator.testName" -}}
{{- printf "%s-test" (include "scoring-operator.fullname" . | trunc 58 | trimSuffix "-") -}}
{{- end -}}

{{/* Labels that select the operator's pods; a Deployment's can never change, so they are few. */}}
{{- define "scoring-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of every object of the chart. The operator's own label value managed-by=scoring-operator is for its children only. */}}
{{- define "scoring-operator.labels" -}}
{{ include "scoring-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{ include "scoring-operator.commonLabels" . }}
{{- end -}}

{{- define "scoring-operator.commonLabels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of hooks and their pods: not those of the operator's pods, which the Deployment and the disruption budget select. */}}
{{- define "scoring-operator.hookLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-hook
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{ include "scoring-operator.commonLabels" . }}
{{- end -}}

{{/* What the pods of the operator and of the hooks have in common. */}}
{{- define "scoring-operator.podSettings" -}}
automountServiceAccountToken: true
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What the containers of the operator and of the hooks have in common. */}}
{{- define "scoring-operator.containerSettings" -}}
image: {{ include "scoring-operator.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{/* When the CRDs are upgraded: at an installation too, where they were there before it, since Helm leaves those as they are. It has just made them otherwise. */}}
{{- define "scoring-operator.crdsHook" -}}
{{- $crd := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "scoringmodels.scoring.dev" -}}
{{- $seconds := 0 -}}
{{- if $crd -}}
{{- $seconds = sub (now | unixEpoch) (toDate "2006-01-02T15:04:05Z07:00" $crd.metadata.creationTimestamp | unixEpoch) -}}
{{- end -}}
{{- ternary "pre-install,pre-upgrade" "pre-upgrade" (and .Release.IsInstall (gt (int64 $seconds) 60)) -}}
{{- end -}}

{{/* Annotations of a hook's object. Takes `hook` and `weight`: what a hook needs comes before it, in order of weights. */}}
{{- define "scoring-operator.hookAnnotations" -}}
helm.sh/hook: {{ .hook }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* The account of a hook, and its role by `roleKind` Role or ClusterRole, bound. Takes `root`, `hook`, `name`, `roleKind`, and `namespace` of a Role. */}}
{{- define "scoring-operator.hookAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "scoring-operator.hookLabels" .root | nindent 4 }}
  annotations:
    {{- include "scoring-operator.hookAnnotations" (dict "hook" .hook "weight" "-10") | nindent 4 }}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .roleKind }}Binding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "scoring-operator.hookLabels" .root | nindent 4 }}
  annotations:
    {{- include "scoring-operator.hookAnnotations" (dict "hook" .hook "weight" "-9") | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .roleKind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .name }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}

{{/* The pod of a hook. Takes `root`, `account` and `arguments`, those of scoring_operator.installation. */}}
{{- define "scoring-operator.hookPod" -}}
serviceAccountName: {{ .account }}
restartPolicy: Never
{{ include "scoring-operator.podSettings" .root }}
containers:
  - name: hook
    {{- include "scoring-operator.containerSettings" .root | nindent 4 }}
    command: {{ concat (list "python" "-m" "scoring_operator.installation") .arguments | toJson }}
    {{- with .root.Values.extraEnv }}
    env:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    resources:
      requests: {cpu: 50m, memory: 128Mi}
      limits: {memory: 256Mi}
{{- end -}}

{{/*
Ready models whose artifact this release would not fetch, as a JSON list of namespace/name: their serving containers fetched it themselves
in versions before the image runtimeImages.fetch. Empty without a cluster to ask (helm template, Argo CD).
*/}}
{{- define "scoring-operator.modelsToFetch" -}}
{{- $names := list -}}
{{- if and .Release.IsUpgrade (not .Values.runtimeImages.fetch) (.Capabilities.APIVersions.Has "scoring.dev/v1beta1/ScoringModel") -}}
{{- range (lookup "scoring.dev/v1beta1" "ScoringModel" "" "").items -}}
{{- if regexMatch "^(https|s3|gs|abfs|hf|oci)://" .spec.model.uri -}}
{{- $model := . -}}
{{- range (dig "status" "conditions" list .) -}}
{{- if and (eq .type "Ready") (eq .status "True") -}}
{{- $names = append $names (printf "%s/%s" $model.metadata.namespace $model.metadata.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{- define "scoring-operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "scoring-operator.fullname" .) -}}
{{- end -}}

{{/* The operator's image: by digest where one is given. */}}
{{- define "scoring-operator.image" -}}
{{- $repository := required "image.repository: name the operator's image, such as registry.example.com/scoring-operator" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Annotations of the operator's pod: that it may be scraped, and the administrator's own, which win. */}}
{{- define "scoring-operator.podAnnotations" -}}
{{- $scraping := dict -}}
{{- if .Values.metrics.port -}}
{{- $scraping = dict "prometheus.io/scrape" "true" "prometheus.io/port" (.Values.metrics.port | int64 | toString) -}}
{{- end -}}
{{- toYaml (merge (deepCopy .Values.podAnnotations) $scraping) -}}
{{- end -}}

{{/* The runtime's images as JSON. */}}
{{- define "scoring-operator.runtimeImages" -}}
{{- if not .Values.runtimeImages -}}
{{- fail "runtimeImages: name the serving runtime's image for each model format you serve, such as {sklearn: registry.example.com/scoring-runtime-sklearn:0.1.0}" -}}
{{- end -}}
{{- $models := include "scoring-operator.modelsToFetch" . | fromJsonArray -}}
{{- if $models -}}
{{- fail (printf "runtimeImages.fetch: name the image that fetches artifacts (Dockerfile.runtime, VARIANT=fetch), such as registry.example.com/scoring-runtime-fetch:%s. Without it %d models that serve now would be refused: %s" .Chart.AppVersion (len $models) (slice $models 0 (min 5 (len $models) | int) | join ", ")) -}}
{{- end -}}
{{- toJson .Values.runtimeImages -}}
{{- end -}}

{{/* What the operator may do in a namespace whose models it serves. No Secrets, no wildcards; it deletes only children that a model can do without: the rest goes by owner references. */}}
{{- define "scoring-operator.rules" -}}
- apiGroups: [scoring.dev]
  resources: [scoringmodels]
  verbs: [get, list, watch]
- apiGroups: [scoring.dev]
  resources: [scoringmodels/status]
  verbs: [patch]
# For owner references that block the owner's deletion, where the cluster checks them (OwnerReferencesPermissionEnforcement).
- apiGroups: [scoring.dev]
  resources: [scoringmodels/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# Those of others are read too: two endpoints must not have the same host and path.
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [resource.k8s.io]
  resources: [resourceclaimtemplates]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}
