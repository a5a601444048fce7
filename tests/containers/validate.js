// node validate.js MODULES FILE: what is wrong with Kubernetes objects, a list in JSON, a line each.
// By the schemas of the npm package kubernetes-models. These allow fields that they do not know, and a misspelled one
// is the commonest fault: so it is seen which fields the validator looks at.
"use strict";
const path = require("path");
const [modules, file] = process.argv.slice(2);
const objects = JSON.parse(require("fs").readFileSync(file, "utf8"));

function watch(value, where, unknown) {
  if (value === null || typeof value !== "object") return value;
  const left = new Set(Object.keys(value));
  unknown.push(() => [...left].map((key) => `${where}/${key}`));
  const inside = {};
  return new Proxy(value, {
    get(target, key) {
      left.delete(key);
      if (!Object.hasOwn(target, key)) return target[key];
      inside[key] ??= watch(target[key], `${where}/${String(key)}`, unknown);
      return inside[key];
    },
  });
}

let faults = 0;
for (const object of objects) {
  const name = `${object.kind}/${object.metadata?.name}`;
  const fault = (text) => (faults++, console.log(`${name}: ${text}`));
  const [group, version] = object.apiVersion.includes("/") ? object.apiVersion.split("/") : ["", object.apiVersion];
  const model = require(path.join(modules, "kubernetes-models", group, version))[object.kind];
  if (object.kind === "Secret") // base64 in lines, which Kubernetes takes
    for (const key in object.data) object.data[key] = object.data[key].replace(/\n/g, "");
  const unknown = [];
  try {
    model.prototype.validate.call(watch(object, "", unknown));
  } catch (error) {
    fault(error.message);
  }
  unknown.flatMap((each) => each()).forEach((field) => fault(`no such field: ${field}`));
}
process.exit(faults ? 1 : 0);
