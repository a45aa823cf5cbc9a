"""Fine-tune an open LLM into a machine-learning-engineering agent: rollouts, SFT, GRPO, evaluation."""
