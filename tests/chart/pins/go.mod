module tidegate.dev/tests/chart

go 1.26.0

// its CustomResourceDefinitions, to validate ServiceMonitor and PrometheusRule with; nothing of it is compiled
require github.com/prometheus-operator/prometheus-operator v0.85.0
