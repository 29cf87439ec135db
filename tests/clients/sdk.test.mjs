// The openai package for JavaScript against the gateway, as an application would use it.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const baseURL = `${process.env.GATEWAY_URL}/v1`;
const client = new OpenAI({ baseURL, apiKey: process.env.GATEWAY_KEY });
const hello = [{ role: "user", content: "hello" }];
const SCRIPTED = "Hello from the upstream.";
const MOCKED = "Hello! How can I help you today?";
const BEDROCK = "strict-aws/anthropic.claude-opus-5-5";
const BOOK = JSON.parse(process.env.BOOK); // book.table()
const PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ";
const tools = [
  {
    type: "function",
    function: {
      name: "weather",
      parameters: { type: "object", properties: { city: { type: "string" } } },
    },
  },
];

// What the package made of a stream has an index with each call.
function sentBack(message) {
  const tool_calls = message.tool_calls.map(({ index, ...call }) => call);
  return { ...message, tool_calls };
}

async function textOf(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  return text;
}

for (const [model, expected] of [
  ["up/good", SCRIPTED],
  ["alias", SCRIPTED],
  ["aimock/gpt-4o", MOCKED],
  ["claude/claude-opus-5-5", MOCKED],
  ["google/gemini-3.8-flash", MOCKED],
  ["aws/anthropic.claude-opus-5-5", MOCKED],
  [BEDROCK, SCRIPTED],
]) {
  test(`chat with ${model}`, async () => {
    const answer = await client.chat.completions.create({ model, messages: hello });
    assert.equal(answer.choices[0].message.content, expected);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.ok(answer.usage.total_tokens > 0);
    assert.ok(answer._request_id);
  });

  test(`a stream from ${model}`, async () => {
    const stream = await client.chat.completions.create({ model, messages: hello, stream: true });
    assert.equal(await textOf(stream), expected);
  });

  test(`a stream with usage from ${model}`, async () => {
    const stream = await client.chat.completions.create({
      model,
      messages: hello,
      stream: true,
      stream_options: { include_usage: true },
    });
    let last;
    for await (const chunk of stream) last = chunk;
    assert.equal(last.choices.length, 0);
    assert.ok(last.usage.total_tokens > 0);
  });
}

for (const [model, content] of [
  ["up/good", "x"],
  ["aimock/gpt-4o", "weather"],
  ["claude/claude-opus-5-5", "weather"],
  ["google/gemini-3.8-flash", "weather"],
  ["aws/anthropic.claude-opus-5-5", "weather"],
  [BEDROCK, "weather"],
]) {
  test(`tools with ${model}`, async () => {
    const answer = await client.chat.completions.create({
      model,
      messages: [{ role: "user", content }],
      tools,
    });
    const [call] = answer.choices[0].message.tool_calls;
    assert.equal(call.function.name, "weather");
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Oslo" });
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
  });

  test(`streamed tools with ${model}`, async () => {
    const stream = client.chat.completions.stream({
      model,
      messages: [{ role: "user", content }],
      tools,
    });
    const answer = await stream.finalChatCompletion();
    const [call] = answer.choices[0].message.tool_calls;
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Oslo" });
  });
}

for (const { name: model, pictures, thoughts } of BOOK.models) {
  for (const streamed of [false, true]) {
    test(`two calls over two turns, a picture, a structured answer, ${model}, ${streamed}`, async () => {
      const run = async (messages, more) => {
        const body = { model, messages, ...more };
        const answer = streamed
          ? await client.chat.completions.stream(body).finalChatCompletion()
          : await client.chat.completions.create(body);
        return answer.choices[0].message;
      };
      const messages = [{ role: "user", content: "The weather?" }];
      const first = await run(messages, { tools, reasoning_effort: "low" });
      assert.equal(first.tool_calls.length, 2);
      messages.push(sentBack(first));
      for (const call of first.tool_calls) {
        messages.push({ role: "tool", tool_call_id: call.id, content: "rain" });
      }
      const second = await run(messages, { tools, reasoning_effort: "low" });
      assert.match(second.content, /after 2 results/);
      // Of a stream's thinking the package keeps the last piece alone.
      if (!streamed) assert.equal(/Two calls/.test(second.content), thoughts);
      const url = `data:image/png;base64,${PICTURE}`;
      const seen = run([{ role: "user", content: [{ type: "image_url", image_url: { url } }] }]);
      if (pictures) assert.equal((await seen).content, "I see 1: data:image/png;");
      else await assert.rejects(seen, OpenAI.BadRequestError);
      const { parameters: schema } = tools[0].function;
      const response_format = { type: "json_schema", json_schema: { name: "place", schema } };
      const answer = await run(hello, { response_format });
      assert.deepEqual(JSON.parse(answer.content), { city: "Oslo" });
    });
  }
}

test("embeddings, in the form that the SDK asks for by itself", async () => {
  const answer = await client.embeddings.create({ model: "up/e", input: ["a", "b"] });
  assert.deepEqual(
    answer.data.map((one) => Array.from(one.embedding)),
    [
      [0.5, -0.25, 1],
      [0.5, -0.25, 1],
    ],
  );
  const mocked = await client.embeddings.create({
    model: "aimock/text-embedding-3-small",
    input: "hello",
  });
  assert.ok(mocked.data[0].embedding.length > 100);
});

test("models", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes("alias"));
  assert.equal((await client.models.retrieve("alias")).id, "alias");
});

test("errors are the SDK's own classes", async () => {
  const chat = (model, more = {}) =>
    client.chat.completions.create({ model, messages: hello, ...more });
  await assert.rejects(chat("nonesuch"), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
    assert.ok(error.requestID);
    return true;
  });
  await assert.rejects(chat("up/good", { messages: "no array" }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.code, "invalid_type");
    assert.equal(error.param, "messages");
    return true;
  });
  await assert.rejects(chat("up/status-400"), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.code, "invalid_value");
    assert.equal(error.param, "max_tokens");
    return true;
  });
  for (const model of BOOK.refusing) await assert.rejects(chat(model), OpenAI.BadRequestError);
  const stranger = new OpenAI({ baseURL, apiKey: "sy-nobody" });
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
  await assert.rejects(
    client.chat.completions.create({
      model: "aimock/gpt-4o",
      messages: [{ role: "user", content: "too much" }],
    }),
    OpenAI.BadRequestError,
  );
});

test("the SDK does not multiply the gateway's attempts", async () => {
  await assert.rejects(
    client.chat.completions.create({ model: "up/quota", messages: hello }),
    OpenAI.RateLimitError,
  );
  await assert.rejects(
    client.chat.completions.create({ model: "up/stall-before-head", messages: hello }),
    OpenAI.InternalServerError,
  );
});

test("a stream that breaks raises", async () => {
  for (const model of BOOK.breaking) {
    const stream = await client.chat.completions.create({ model, messages: hello, stream: true });
    await assert.rejects(textOf(stream), OpenAI.APIError, model);
  }
});

test("a stream that breaks raises, and keeps what came", async () => {
  const stream = await client.chat.completions.create({
    model: "up/cut-between-events",
    messages: hello,
    stream: true,
  });
  let text = "";
  await assert.rejects(async () => {
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  }, OpenAI.APIError);
  assert.equal(text, "Hello from");
});

test("leaving in the middle of a stream", async () => {
  const stream = await client.chat.completions.create({
    model: "up/paced",
    messages: hello,
    stream: true,
  });
  let seen = 0;
  for await (const _ of stream) {
    if (++seen === 3) break;
  }
  const controller = new AbortController();
  const second = await client.chat.completions.create(
    { model: "up/paced", messages: hello, stream: true },
    { signal: controller.signal },
  );
  for await (const _ of second) controller.abort();
  for (const model of BOOK.paced) {
    const left = await client.chat.completions.create({ model, messages: hello, stream: true });
    for await (const _ of left) break;
  }
});

test("200 at a time", async () => {
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, number) => {
      if (number % 2) {
        const stream = await client.chat.completions.create({
          model: "up/good",
          messages: hello,
          stream: true,
        });
        return textOf(stream);
      }
      const answer = await client.chat.completions.create({ model: "up/good", messages: hello });
      return answer.choices[0].message.content;
    }),
  );
  assert.deepEqual([...new Set(answers)], [SCRIPTED]);
});
