"""Strict upstreams that follow OpenAI with an accent, one module for each family: a member that the vendor does not know,
a value that it refuses, or a history that it can't read is answered with its own 400.

    with providers.deepseek.DeepSeek() as family:
        family.url        # base_url for the gateway
        family.bodies     # what came in, as JSON

What an upstream does is said by the last message of the user: "say" (text after some thinking), "tools" (two calls at
once, then how many results came), "fail:NAME" (one of `failures`), "finish:REASON" (that reason, as the vendor spells it).
Written from the vendors' published descriptions; nothing is shared with the gateway.
"""
