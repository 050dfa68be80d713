"""The process that owns the tutor's models: OpenAI's endpoints over one batched context."""
