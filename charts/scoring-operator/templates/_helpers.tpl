{{/* Name of all objects of the release: the release's own where it tells enough. */}}
{{- define "scoring-operator.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
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
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
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
