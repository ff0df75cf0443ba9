// Runs oauth2-mock-server over HTTPS, for the benchmark that compares it with
// the lab: node mock.mjs KEY.pem CERTIFICATE.pem. It prints its address once it
// accepts connections and ends when its standard input does.

import { OAuth2Server } from "oauth2-mock-server";

const [key, certificate] = process.argv.slice(2);
const server = new OAuth2Server(key, certificate);
await server.issuer.keys.generate("RS256"); // RSA, 2048 bits
await server.start(0, "127.0.0.1");
console.log(`https://127.0.0.1:${server.address().port}`);
process.stdin.resume().on("end", () => process.exit());
