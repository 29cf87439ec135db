// The scenario book with SDKs of other dialects than OpenAI's chat, as applications would use them.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { ApiError, GoogleGenAI } from "@google/genai";
import OpenAI from "openai";

const url = process.env.GATEWAY_URL;
const apiKey = process.env.GATEWAY_KEY;
const ANSWER = "Hello from the upstream.";
const PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ";
const schema = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const BOOK = JSON.parse(process.env.BOOK); // book.table()
const VENDORS = [{ name: "strict-claude/claude-opus-5-5" }, { name: "strict-google/gemini-3.8-flash" }];

// -- Anthropic

const anthropic = new Anthropic({ baseURL: url, apiKey });
const textOf = (message) => message.content.map((block) => block.text ?? "").join("");
const tokensOf = ({ usage }) => [
  usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0),
  usage.output_tokens,
];
const ask = (content, more = {}) => ({
  model: "up/book",
  max_tokens: 1000,
  messages: [{ role: "user", content }],
  ...more,
});

for (const { name: model, counted, pictures } of BOOK.models) {
  test(`anthropic: plain, ${model}`, async () => {
    const message = await anthropic.messages.create(ask("hello", { model }));
    assert.equal(textOf(message), ANSWER);
    assert.equal(message.stop_reason, "end_turn");
    assert.deepEqual(tokensOf(message), counted.slice(0, 2));
    assert.ok(message._request_id);
  });

  test(`anthropic: a stream, and its usage, ${model}`, async () => {
    const stream = anthropic.messages.stream(ask("hello", { model }));
    let text = "";
    stream.on("text", (piece) => (text += piece));
    const message = await stream.finalMessage();
    assert.equal(text, ANSWER);
    assert.equal(textOf(message), ANSWER);
    assert.deepEqual(tokensOf(message), counted.slice(0, 2));
  });

  test(`anthropic: a picture, and a structured answer, ${model}`, async () => {
    const source = { type: "base64", media_type: "image/png", data: PICTURE };
    const seen = anthropic.messages.create(ask([{ type: "image", source }], { model }));
    if (pictures) assert.equal(textOf(await seen), "I see 1: data:image/png;");
    else await assert.rejects(seen, Anthropic.BadRequestError);
    const output_config = { format: { type: "json_schema", schema } };
    const answer = await anthropic.messages.create(ask("city?", { model, output_config }));
    assert.deepEqual(JSON.parse(textOf(answer)), { city: "Oslo" });
  });
}

for (const { name: model, thoughts } of [...BOOK.models, ...VENDORS]) {
  for (const streamed of [false, true]) {
    test(`anthropic: two calls and thinking over two turns, ${model}, ${streamed}`, async () => {
      const run = (body) =>
        streamed
          ? anthropic.messages.stream(body).finalMessage()
          : anthropic.messages.create(body);
      const body = ask("The weather?", {
        model,
        thinking: { type: "adaptive" },
        tools: [{ name: "weather", input_schema: schema }],
      });
      const first = await run(body);
      const calls = first.content.filter((block) => block.type === "tool_use");
      assert.equal(first.stop_reason, "tool_use");
      assert.deepEqual(
        calls.map((call) => call.input),
        [{ city: "Oslo" }, { city: "Rome" }],
      );
      const thinking = first.content.find((block) => block.type === "thinking");
      assert.equal(thinking.thinking, "Two calls.");
      const strip = ({ caller, citations, ...block }) => block;
      body.messages.push(
        { role: "assistant", content: first.content.map(strip) },
        {
          role: "user",
          content: calls.map((call) => ({
            type: "tool_result",
            tool_use_id: call.id,
            content: "rain",
          })),
        },
      );
      const second = await run(body);
      assert.match(second.content.at(-1).text, /after 2 results/);
      if (thoughts) assert.match(second.content.at(-1).text, /Two calls/);
    });
  }
}

test("anthropic: errors, before and within a stream", async () => {
  const create = (more) => anthropic.messages.create(ask("hello", more));
  await assert.rejects(create({ model: "nonesuch" }), Anthropic.NotFoundError);
  await assert.rejects(create({ max_tokens: undefined }), (error) => {
    assert.ok(error instanceof Anthropic.BadRequestError);
    assert.match(error.error.error.message, /max_tokens/);
    return true;
  });
  for (const model of BOOK.refusing) {
    await assert.rejects(create({ model }), Anthropic.BadRequestError);
  }
  const stranger = new Anthropic({ baseURL: url, apiKey: "sy-unknown" });
  await assert.rejects(stranger.messages.create(ask("hello")), Anthropic.AuthenticationError);
  for (const model of BOOK.breaking) {
    const cut = anthropic.messages.stream(ask("hello", { model }));
    await assert.rejects(cut.finalMessage(), Anthropic.APIError);
  }
});

test("anthropic: abort, tokens, models", async () => {
  for (const model of BOOK.paced) {
    const stream = anthropic.messages.stream(ask("hello", { model }));
    stream.on("text", () => stream.abort());
    await assert.rejects(stream.finalMessage(), Anthropic.APIUserAbortError);
  }
  const { max_tokens, ...body } = ask("hello");
  assert.ok((await anthropic.messages.countTokens(body)).input_tokens > 0);
  const names = [];
  for await (const model of anthropic.models.list({ limit: 2 })) names.push(model.id);
  assert.ok(names.includes("alias") && names.length > 2);
});

// -- OpenAI's Responses

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey });

for (const { name: model, counted, pictures } of BOOK.models) {
  test(`responses: plain, and a stream with its usage, ${model}`, async () => {
    const body = { model, input: "hello", instructions: "Be brief." };
    const whole = await openai.responses.create(body);
    assert.equal(whole.output_text, ANSWER);
    assert.equal(whole.status, "completed");
    assert.deepEqual([whole.usage.input_tokens, whole.usage.output_tokens], counted.slice(0, 2));
    const stream = openai.responses.stream(body);
    let text = "";
    stream.on("response.output_text.delta", (event) => (text += event.delta));
    const last = await stream.finalResponse();
    assert.equal(text, ANSWER);
    assert.equal(last.output_text, ANSWER);
    assert.deepEqual([last.usage.input_tokens, last.usage.output_tokens], counted.slice(0, 2));
  });

  test(`responses: a picture, and a structured answer, ${model}`, async () => {
    const image_url = `data:image/png;base64,${PICTURE}`;
    const content = [{ type: "input_image", image_url, detail: "auto" }];
    const seen = openai.responses.create({ model, input: [{ role: "user", content }] });
    if (pictures) assert.equal((await seen).output_text, "I see 1: data:image/png;");
    else await assert.rejects(seen, OpenAI.BadRequestError);
    const format = { type: "json_schema", name: "place", schema, strict: true };
    const answer = await openai.responses.create({ model, input: "city?", text: { format } });
    assert.deepEqual(JSON.parse(answer.output_text), { city: "Oslo" });
  });
}

for (const { name: model, thoughts } of [...BOOK.models, ...VENDORS]) {
  for (const streamed of [false, true]) {
    test(`responses: two calls and reasoning over two turns, ${model}, ${streamed}`, async () => {
      const run = (body) =>
        streamed ? openai.responses.stream(body).finalResponse() : openai.responses.create(body);
      const body = {
        model,
        input: [{ role: "user", content: "The weather?" }],
        reasoning: { effort: "low", summary: "auto" },
        store: false,
        include: ["reasoning.encrypted_content"],
        tools: [{ type: "function", name: "weather", parameters: schema, strict: false }],
      };
      const first = await run(body);
      const calls = first.output.filter((item) => item.type === "function_call");
      assert.deepEqual(
        calls.map((call) => JSON.parse(call.arguments)),
        [{ city: "Oslo" }, { city: "Rome" }],
      );
      const reasoning = first.output.find((item) => item.type === "reasoning");
      assert.equal(reasoning.summary[0].text, "Two calls.");
      const strip = ({ parsed_arguments, ...item }) => item;
      body.input.push(
        ...first.output.map(strip),
        ...calls.map((call) => ({
          type: "function_call_output",
          call_id: call.call_id,
          output: "rain",
        })),
      );
      const second = await run(body);
      assert.match(second.output_text, /after 2 results/);
      if (thoughts) assert.match(second.output_text, /Two calls/);
    });
  }
}

test("responses: stored, gone on with, listed and removed", async () => {
  const storing = new OpenAI({ baseURL: `${url}/v1`, apiKey: process.env.STORING_KEY });
  const body = { model: "up/book", input: "hello" };
  const first = await storing.responses.create(body);
  const again = await storing.responses.retrieve(first.id);
  assert.deepEqual([again.id, again.output_text], [first.id, ANSWER]);
  const stream = storing.responses.stream({ ...body, previous_response_id: first.id });
  const second = await stream.finalResponse();
  assert.equal(second.previous_response_id, first.id);
  const roles = [];
  for await (const item of storing.responses.inputItems.list(second.id, { limit: 2 })) roles.push(item.role);
  assert.deepEqual(roles, ["user", "assistant", "user"]);
  await storing.responses.delete(first.id);
  await assert.rejects(storing.responses.retrieve(first.id), OpenAI.NotFoundError);
});

test("responses: in the background, polled and cancelled", async () => {
  const storing = new OpenAI({ baseURL: `${url}/v1`, apiKey: process.env.STORING_KEY });
  let said = await storing.responses.create({ model: "up/book", input: "hello", background: true });
  const id = said.id;
  while (said.status === "queued" || said.status === "in_progress") said = await storing.responses.retrieve(id);
  assert.deepEqual([said.id, said.status, said.output_text], [id, "completed", ANSWER]);
  const slow = await storing.responses.create({ model: "up/stall-mid-head", input: "hello", background: true });
  assert.equal(slow.status, "in_progress");
  for (let i = 0; i < 2; ++i) assert.equal((await storing.responses.cancel(slow.id)).status, "cancelled");
  assert.equal((await storing.responses.retrieve(slow.id)).status, "cancelled");
  await assert.rejects(storing.responses.create({ model: "up/book", input: "a", background: true, stream: true }),
    (error) => error.status === 400 && error.param === "stream");
});

test("responses: an item is named instead of sent again", async () => {
  const storing = new OpenAI({ baseURL: `${url}/v1`, apiKey: process.env.STORING_KEY });
  const first = await storing.responses.create({ model: "up/book", input: "hello" });
  const input = [{ type: "item_reference", id: first.output[0].id }, { role: "user", content: "hello" }];
  assert.equal((await storing.responses.create({ model: "up/book", input })).output_text, ANSWER);
});

test("responses: errors, abort, and what would have to be stored", async () => {
  const create = (more) => openai.responses.create({ model: "up/book", input: "hello", ...more });
  await assert.rejects(create({ model: "nonesuch" }), OpenAI.NotFoundError);
  for (const model of BOOK.refusing) {
    await assert.rejects(create({ model }), OpenAI.BadRequestError);
  }
  await assert.rejects(create({ previous_response_id: "resp_1" }), (error) => {
    assert.equal(error.status, 400);
    assert.equal(error.param, "previous_response_id");
    assert.match(error.message, /store/);
    return true;
  });
  for (const call of ["retrieve", "delete", "cancel"]) {
    await assert.rejects(openai.responses[call]("resp_1"), OpenAI.BadRequestError);
  }
  for (const model of BOOK.breaking) {
    const cut = await create({ model, stream: true });
    await assert.rejects(async () => {
      for await (const event of cut) assert.notEqual(event.type, "response.completed");
    }, OpenAI.APIError);
  }
  for (const model of BOOK.paced) {
    const stream = await create({ model, stream: true });
    for await (const event of stream) if (event.type === "response.output_text.delta") break;
    assert.ok(stream.controller.signal.aborted);
  }
});

// -- Google

const google = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url } });
const generate = (contents, config = {}, model = "up/book") =>
  google.models.generateContent({ model, contents, config });

for (const { name: model, counted, pictures } of BOOK.models) {
  test(`genai: plain, and a stream with its usage, ${model}`, async () => {
    const whole = await generate("hello", {}, model);
    assert.equal(whole.text, ANSWER);
    assert.equal(whole.candidates[0].finishReason, "STOP");
    assert.equal(whole.usageMetadata.totalTokenCount, counted[0] + counted[1]);
    let text = "";
    let last;
    const stream = await google.models.generateContentStream({ model, contents: "hello" });
    for await (const piece of stream) {
      text += piece.text ?? "";
      last = piece;
    }
    assert.equal(text, ANSWER);
    assert.equal(last.candidates[0].finishReason, "STOP");
    assert.equal(last.usageMetadata.totalTokenCount, counted[0] + counted[1]);
  });

  test(`genai: a picture, and a structured answer, ${model}`, async () => {
    const inlineData = { mimeType: "image/png", data: PICTURE };
    const seen = generate([{ role: "user", parts: [{ inlineData }] }], {}, model);
    if (pictures) assert.equal((await seen).text, "I see 1: data:image/png;");
    else await assert.rejects(seen, ApiError);
    const responseSchema = { type: "OBJECT", properties: { city: { type: "STRING" } } };
    const config = { responseMimeType: "application/json", responseSchema };
    const answer = await generate("city?", config, model);
    assert.deepEqual(JSON.parse(answer.text), { city: "Oslo" });
  });
}

for (const { name: model, thoughts } of [...BOOK.models, ...VENDORS]) {
  for (const streamed of [false, true]) {
    test(`genai: two calls and thoughts over two turns, ${model}, ${streamed}`, async () => {
      const config = {
        tools: [{ functionDeclarations: [{ name: "weather", parametersJsonSchema: schema }] }],
        thinkingConfig: { includeThoughts: true, thinkingLevel: "LOW" },
      };
      const run = async (contents) => {
        if (!streamed) return (await generate(contents, config, model)).candidates[0].content.parts;
        const parts = [];
        const stream = await google.models.generateContentStream({ model, contents, config });
        for await (const piece of stream) parts.push(...piece.candidates[0].content.parts);
        return parts;
      };
      const contents = [{ role: "user", parts: [{ text: "The weather?" }] }];
      const parts = await run(contents);
      const calls = parts.filter((part) => part.functionCall).map((part) => part.functionCall);
      assert.deepEqual(
        calls.map((call) => call.args),
        [{ city: "Oslo" }, { city: "Rome" }],
      );
      const thinking = parts.filter((part) => part.thought).map((part) => part.text);
      assert.equal(thinking.join(""), "Two calls.");
      contents.push(
        { role: "model", parts },
        {
          role: "user",
          parts: calls.map(({ id, name }) => ({
            functionResponse: { id, name, response: { output: "rain" } },
          })),
        },
      );
      const second = await run(contents);
      const text = second.map((part) => part.text ?? "").join("");
      assert.match(text, /after 2 results/);
      if (thoughts) assert.match(text, /Two calls/);
    });
  }
}

test("genai: errors, before and within a stream", async () => {
  const rejects = (promise, status, pattern) =>
    assert.rejects(promise, (error) => {
      assert.ok(error instanceof ApiError, error);
      assert.equal(error.status, status);
      assert.match(error.message, pattern);
      return true;
    });
  await rejects(generate("hello", {}, "nonesuch"), 404, /NOT_FOUND/);
  await rejects(generate("hello", { temperature: "hot" }), 400, /generationConfig.temperature/);
  for (const model of BOOK.refusing) await rejects(generate("hello", {}, model), 400, /INVALID_ARGUMENT/);
  const stranger = new GoogleGenAI({ apiKey: "sy-unknown", httpOptions: { baseUrl: url } });
  await rejects(
    stranger.models.generateContent({ model: "up/book", contents: "hello" }),
    401,
    /UNAUTHENTICATED/,
  );
  for (const model of BOOK.breaking) {
    const throttled = model.endsWith("throttled-inside");
    const [status, pattern] = throttled ? [429, /RESOURCE_EXHAUSTED/] : [502, /UNAVAILABLE/];
    const cut = await google.models.generateContentStream({ model, contents: "hello" });
    const drain = async () => {
      for await (const piece of cut) void piece;
    };
    await rejects(drain(), status, pattern);
  }
});

test("genai: abort, tokens, embeddings, models", async () => {
  for (const model of BOOK.paced) {
    const abort = new AbortController();
    const stream = await google.models.generateContentStream({
      model,
      contents: "hello",
      config: { abortSignal: abort.signal },
    });
    await assert.rejects(async () => {
      for await (const piece of stream) if (piece.text) abort.abort();
    });
  }
  const count = await google.models.countTokens({ model: "up/book", contents: "hello" });
  assert.ok(count.totalTokens > 0);
  const embedded = await google.models.embedContent({ model: "up/e", contents: ["a", "b"] });
  assert.deepEqual(
    embedded.embeddings.map((one) => one.values),
    [
      [0.5, -0.25, 1],
      [0.5, -0.25, 1],
    ],
  );
  const names = [];
  for await (const model of await google.models.list({ config: { pageSize: 2 } })) {
    names.push(model.name);
  }
  assert.ok(names.includes("models/alias") && names.length > 2);
});
