// Makes calls with the AWS SDK for JavaScript v3: operations with their members go in, answers or errors come out.
import { readFileSync } from "node:fs";
import * as firehose from "@aws-sdk/client-firehose";

const given = JSON.parse(readFileSync(0, "utf8"));
const client = new firehose.FirehoseClient({
  endpoint: given.endpoint,
  region: given.region,
  credentials: { accessKeyId: given.access_key, secretAccessKey: given.secret_key },
  maxAttempts: 1,
});

const answers = [];
for (const [operation, members] of given.calls) {
  try {
    const { $metadata, ...answer } = await client.send(new firehose[`${operation}Command`](members));
    answers.push({ answer });
  } catch (error) {
    if (!error.$metadata) throw error;
    answers.push({ error: error.name, message: error.message });
  }
}
console.log(JSON.stringify({ answers }));
