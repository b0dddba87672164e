"""The operator: turns ScoringModels into Deployments, Services and autoscalers, and says how they are."""
