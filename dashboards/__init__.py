"""The Grafana dashboards, as code: `make dashboards` writes them into the chart. `panels` has their parts, `model` and `fleet` are they."""
