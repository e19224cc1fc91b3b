"""Agreement, robustness and fairness of models, and the reports on them."""
