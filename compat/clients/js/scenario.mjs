// The scenario of compat/test_sdks.py with the AWS SDK for JavaScript v3. JSON on standard input and output.
import { readFileSync } from "node:fs";
import {
  CreateDeliveryStreamCommand,
  DeleteDeliveryStreamCommand,
  DescribeDeliveryStreamCommand,
  FirehoseClient,
  ListDeliveryStreamsCommand,
  PutRecordBatchCommand,
  PutRecordCommand,
  ResourceNotFoundException,
  UpdateDestinationCommand,
} from "@aws-sdk/client-firehose";

const given = JSON.parse(readFileSync(0, "utf8"));
const client = new FirehoseClient({
  endpoint: given.endpoint,
  region: given.region,
  credentials: { accessKeyId: given.access_key, secretAccessKey: given.secret_key },
  maxAttempts: 1,
});
const DeliveryStreamName = given.stream;
const send = (command) => client.send(command);
const describe = async () => (await send(new DescribeDeliveryStreamCommand({ DeliveryStreamName }))).DeliveryStreamDescription;
const data = (text) => ({ Data: Buffer.from(text, "base64") });

async function produce() {
  const created = await send(new CreateDeliveryStreamCommand({ DeliveryStreamName, [given.configuration]: given.destination }));
  let description = await describe();
  for (let i = 0; i < 200 && description.DeliveryStreamStatus !== "ACTIVE"; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    description = await describe();
  }
  const [first, ...rest] = given.records;
  const put = await send(new PutRecordCommand({ DeliveryStreamName, Record: data(first) }));
  const batch = await send(new PutRecordBatchCommand({ DeliveryStreamName, Records: rest.map(data) }));
  return {
    arn: created.DeliveryStreamARN,
    status: description.DeliveryStreamStatus,
    version: description.VersionId,
    created: description.CreateTimestamp.getTime() / 1000,
    compression: description.Destinations[0].S3DestinationDescription.CompressionFormat,
    record_ids: [put.RecordId, ...batch.RequestResponses.map((entry) => entry.RecordId)],
    failed: batch.FailedPutCount,
  };
}

async function update() {
  const before = await describe();
  await send(
    new UpdateDestinationCommand({
      DeliveryStreamName,
      CurrentDeliveryStreamVersionId: before.VersionId,
      DestinationId: before.Destinations[0].DestinationId,
      S3DestinationUpdate: given.update,
    }),
  );
  await send(new PutRecordCommand({ DeliveryStreamName, Record: data(given.later) }));
  const after = await describe();
  const list = await send(new ListDeliveryStreamsCommand({ Limit: 10000 }));
  return {
    version: after.VersionId,
    prefix: after.Destinations[0].S3DestinationDescription.Prefix,
    names: list.DeliveryStreamNames,
    more: list.HasMoreDeliveryStreams,
  };
}

async function remove() {
  await send(new DeleteDeliveryStreamCommand({ DeliveryStreamName }));
  for (let i = 0; i < 200; i++) {
    try {
      await describe();
    } catch (error) {
      return { error: error.name, typed: error instanceof ResourceNotFoundException, status: error.$metadata.httpStatusCode };
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { error: "the stream is still there" };
}

console.log(JSON.stringify(await { produce, update, delete: remove }[given.phase]()));
