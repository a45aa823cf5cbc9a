"""Raw files as of LLM Classification Finetuning, which has the files of LMSYS - Chatbot Arena."""

from made_up.task_lmsys_chatbot_arena import fabricate

__all__ = ["fabricate"]
