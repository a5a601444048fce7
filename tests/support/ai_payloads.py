"""What gateways of AI models post, as recorded."""

# As LiteLLM's generic callback posts it (StandardLoggingPayload), cut to what a payload has at least.
LITELLM = {"id": "chatcmpl-68bb9ed5", "trace_id": "54c1e8e1", "call_type": "acompletion", "stream": True, "response_cost": 0.00022,
           "status": "success", "custom_llm_provider": "anthropic", "total_tokens": 43, "prompt_tokens": 13,
           "completion_tokens": 30, "startTime": 0.0, "endTime": 0.0, "model": "claude-3-5-sonnet-20240620", "cache_hit": False,
           "metadata": {"user_api_key_alias": None, "user_api_key_team_id": "acme", "requester_metadata": {}},
           "end_user": "", "response": {"usage": {"prompt_tokens": 13, "completion_tokens": 30, "total_tokens": 43}}}
