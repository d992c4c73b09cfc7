// What Node's own client (undici) makes of a balancer: prints what it found as JSON.
const base = process.argv[2];
const size = async (path, options) => (await (await fetch(base + path, options)).arrayBuffer()).byteLength;
const found = {};
found.large = await size("/large/3000000");
found.chunks = await size("/chunks/3000000");
found.end = await size("/end/3000000");
found.gzip = await (await fetch(base + "/gzip")).text();
found.redirect = await size("/redirect");
const stream = new ReadableStream({
  start(controller) {
    for (let number = 0; number < 20; number++) controller.enqueue(new Uint8Array(50000));
    controller.close();
  },
});
found.streamed = await size("/echo", {method: "POST", body: stream, duplex: "half"});
found.posted = await size("/echo", {method: "PUT", body: new Uint8Array(2000000)});
found.head = (await fetch(base + "/large/77", {method: "HEAD"})).headers.get("content-length");
found.missing = (await fetch(base + "/nothing")).status;
const many = await Promise.all(Array.from({length: 40}, () => size("/large/1000")));
found.many = many.reduce((a, b) => a + b);
console.log(JSON.stringify(found));
