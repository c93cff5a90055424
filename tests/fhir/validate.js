// Reads one FHIR R4 resource a line and answers with one line: a JSON list of what is wrong with it.
const { Fhir } = require(process.argv[2] + "/index.js");
const validator = new Fhir();
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const told = validator.validate(JSON.parse(line), { errorOnUnexpected: true });
  const wrong = told.messages.filter((each) => each.severity === "error" || each.severity === "fatal");
  console.log(JSON.stringify(wrong.map((each) => `${each.location}: ${each.message}`)));
});
