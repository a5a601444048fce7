"""LiteLLM's calls as usage: litellm.callbacks = [meterline], or in a proxy's config.yaml, beside which this file is,
litellm_settings: {callbacks: litellm_logger.meterline}. EMITTER_URL and EMITTER_KEY say where meterline-emitter --daemon is."""

import asyncio
import json
import os
import time
import urllib.request

from litellm.integrations.custom_logger import CustomLogger


class Meterline(CustomLogger):
    def log_success_event(self, kwargs, response_obj, start_time, end_time, patience_s=60):
        """LiteLLM calls it beside the request, so waiting slows nobody. What is sent again has the same id, and counts once."""
        payload = kwargs["standard_logging_object"]
        response = payload.get("response")
        usage = {"usage": response["usage"]} if isinstance(response, dict) and response.get("usage") else None
        body = json.dumps({**payload, "messages": None, "response": usage}, default=str).encode()  # Nobody's prompts.
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('EMITTER_KEY', '')}"}
        request = urllib.request.Request(f"{os.environ['EMITTER_URL']}/v1/usage/litellm", body, headers)
        until = time.monotonic() + patience_s
        while not self.is_taken(request, until):
            time.sleep(0.5)

    def is_taken(self, request, until):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status == 202 or not json.load(answer)["unavailable"]
        except OSError as error:
            if getattr(error, "code", 503) not in (429, 503) or time.monotonic() > until:
                raise  # Refused, or nobody is there: LiteLLM logs it.
            return False

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        await asyncio.to_thread(self.log_success_event, kwargs, response_obj, start_time, end_time)


meterline = Meterline()
