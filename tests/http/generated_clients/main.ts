// Use openapi-fetch with the types of openapi-typescript: list, one image, a bulk request, an error.

import { createHash } from "node:crypto";
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const client = createClient<paths>({ baseUrl: process.argv[2] });
const sha256 = (data: ArrayBuffer | undefined): string => createHash("sha256").update(new Uint8Array(data!)).digest("hex");

const list = await client.GET("/v1/models");
const names: string[] = list.data!.models.map((each) => each.name);
const first = list.data!.models[0];
const path = { name: first.name, digest: first.digest.slice(0, 12), seed: 42, format: "png" as const };
const url = "/v1/models/{name}@{digest}/images/{seed}.{format}";
const image = await client.GET(url, { params: { path }, parseAs: "arrayBuffer" });
const body = { model: first.name, seeds: "0-3", format: "npy" as const };
const bulk = await client.POST("/v1/sample", { body, parseAs: "arrayBuffer" });
const wrong = await client.GET(url, { params: { path, query: { scale: 9999 } } });
const problem: { status: number; field?: string } = wrong.error!;
console.log(JSON.stringify([names, sha256(image.data), sha256(bulk.data), problem.status, problem.field]));
