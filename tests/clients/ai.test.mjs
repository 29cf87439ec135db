// The scenario book with Vercel's AI SDK, each of its providers at the gateway.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import {
  APICallError,
  Output,
  embedMany,
  generateText,
  isStepCount,
  jsonSchema,
  streamText,
  tool,
} from "ai";

globalThis.AI_SDK_LOG_WARNINGS = false;
const url = process.env.GATEWAY_URL;
const apiKey = process.env.GATEWAY_KEY;
const ANSWER = "Hello from the upstream.";
const PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ";
const schema = jsonSchema({
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
});
const BOOK = JSON.parse(process.env.BOOK); // book.table()
const VENDORS = [{ name: "strict-claude/claude-opus-5-5" }, { name: "strict-google/gemini-3.8-flash" }];

const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey });
const anthropic = createAnthropic({ baseURL: `${url}/v1`, apiKey });
const google = createGoogle({ baseURL: `${url}/v1beta`, apiKey });
const SURFACES = {
  chat: (model) => openai.chat(model),
  responses: (model) => openai.responses(model),
  anthropic: (model) => anthropic(model),
  google: (model) => google(model),
};

// The gateway keeps no conversations; and "auto" asks an unknown model for JSON by a tool.
const providerOptions = {
  openai: { store: false },
  anthropic: { structuredOutputMode: "outputFormat" },
};

// Both ways of asking, with the same answer.
async function run(streamed, options) {
  const asked = { maxRetries: 0, providerOptions, ...options };
  if (!streamed) return generateText(asked);
  const faults = [];
  const result = streamText({ ...asked, onError: ({ error }) => faults.push(error) });
  await result.consumeStream({ onError: (error) => faults.push(error) });
  if (faults.length > 0) throw faults[0];
  return {
    text: await result.text,
    steps: await result.steps,
    usage: await result.usage,
    finishReason: await result.finishReason,
  };
}

for (const [name, surface] of Object.entries(SURFACES)) {
  for (const streamed of [false, true]) {
    for (const { name: model, counted, pictures } of BOOK.models) {
      test(`ai, ${name}: plain, with usage, ${model}, streamed ${streamed}`, async () => {
        const said = await run(streamed, { model: surface(model), prompt: "hello" });
        assert.equal(said.text, ANSWER);
        assert.equal(said.finishReason, "stop");
        assert.deepEqual([said.usage.inputTokens, said.usage.outputTokens], counted.slice(0, 2));
      });

      test(`ai, ${name}: a picture, and a structured answer, ${model}, streamed ${streamed}`, async () => {
        const content = [
          { type: "text", text: "What is it?" },
          { type: "file", mediaType: "image/png", data: PICTURE },
        ];
        const seen = run(streamed, {
          model: surface(model),
          messages: [{ role: "user", content }],
        });
        if (pictures) assert.equal((await seen).text, "I see 1: data:image/png;");
        else await assert.rejects(seen, { statusCode: 400 });
        const answer = await run(streamed, {
          model: surface(model),
          prompt: "city?",
          output: Output.object({ schema }),
        });
        assert.deepEqual(JSON.parse(answer.text), { city: "Oslo" });
      });
    }

    for (const { name: model } of [...BOOK.models, ...VENDORS]) {
      test(`ai, ${name}: two calls and reasoning over two turns, ${model}, ${streamed}`, async () => {
        const asked = [];
        const said = await run(streamed, {
          maxOutputTokens: 500,
          model: surface(model),
          prompt: "The weather?",
          reasoning: "low",
          stopWhen: isStepCount(2),
          tools: {
            weather: tool({
              inputSchema: schema,
              execute: async ({ city }) => asked.push(city) && "rain",
            }),
          },
        });
        assert.deepEqual(asked, ["Oslo", "Rome"]);
        assert.equal(said.steps.length, 2);
        assert.equal(said.steps[0].finishReason, "tool-calls");
        assert.match(said.text, /after 2 results/);
      });
    }

    test(`ai, ${name}: errors, streamed ${streamed}`, async () => {
      const ask = (model) => run(streamed, { model: surface(model), prompt: "hello" });
      for (const [model, status] of [["nonesuch", 404], ...BOOK.refusing.map((name) => [name, 400])]) {
        await assert.rejects(ask(model), (error) => {
          assert.ok(APICallError.isInstance(error), error);
          assert.equal(error.statusCode, status);
          return true;
        });
      }
      for (const model of BOOK.breaking) {
        await assert.rejects(run(true, { model: surface(model), prompt: "hello" }));
      }
    });
  }

  for (const model of BOOK.paced) {
    test(`ai, ${name}: an abort ends the stream upstream, ${model}`, async () => {
      const abort = new AbortController();
      const result = streamText({
        model: surface(model),
        prompt: "hello",
        abortSignal: abort.signal,
        maxRetries: 0,
      });
      let ended = "";
      for await (const part of result.stream) {
        if (part.type === "text-delta") abort.abort();
        if (part.type === "abort") ended = part.type;
      }
      assert.equal(ended, "abort"); // run.py looks at what the upstream saw
    });
  }
}

test("ai: embeddings", async () => {
  for (const model of [openai.embedding("up/e"), google.embedding("up/e")]) {
    const { embeddings } = await embedMany({ model, values: ["a", "b"], maxRetries: 0 });
    assert.deepEqual(embeddings, [
      [0.5, -0.25, 1],
      [0.5, -0.25, 1],
    ]);
  }
});

// A mock that nobody here wrote, in four vendors' own APIs, behind each surface. Its Bedrock has not AWS's errors.
const MOCKED = [
  "aimock/gpt-4o",
  "claude/claude-opus-5-5",
  "google/gemini-3.8-flash",
  "aws/anthropic.claude-opus-5-5",
];
for (const [name, surface] of Object.entries(process.env.WITH_AIMOCK ? SURFACES : {})) {
  for (const model of MOCKED) {
    for (const streamed of [false, true]) {
      test(`ai, ${name}: the mock as ${model}, streamed ${streamed}`, async () => {
        const ask = (prompt, more) =>
          run(streamed, { model: surface(model), prompt, maxOutputTokens: 500, ...more });
        const said = await ask("hello");
        assert.equal(said.text, "Hello! How can I help you today?");
        assert.ok(said.usage.outputTokens > 0);
        const tools = { weather: tool({ inputSchema: schema }) };
        const called = await ask("weather", { tools });
        assert.deepEqual(
          called.steps[0].toolCalls.map((call) => call.input),
          [{ city: "Oslo" }],
        );
        await assert.rejects(ask("too much"), (error) => {
          assert.equal(error.statusCode, 400);
          if (!model.startsWith("aws/")) assert.match(error.message, /too much/);
          return true;
        });
      });
    }
  }
}
