// Starts the API reference: Swagger UI over /openapi.json, with the code samples of each operation (`x-codeSamples`), which it does not show by itself.

function withSamples(Original, { React, specSelectors }) {
  const element = React.createElement;
  return function ResponsesWithSamples(props) {
    const samples = specSelectors.specJson().getIn(["paths", props.path, props.method, "x-codeSamples"]);
    return element(React.Fragment, null, samples && element(Samples, { samples: samples.toJS(), React }), element(Original, props));
  };
}

function Samples({ samples, React }) {
  const element = React.createElement;
  const [chosen, choose] = React.useState(0);
  const button = ({ label }, index) => {
    const pressed = { type: "button", className: "btn", "aria-pressed": index === chosen, onClick: () => choose(index) };
    return element("button", { ...pressed, key: label }, label);
  };
  return element(
    "section",
    { className: "code-samples" },
    element("div", { className: "opblock-section-header" }, element("h4", null, "Code samples"), element("div", null, samples.map(button))),
    element("pre", { className: "microlight", tabIndex: 0 }, samples[chosen].source),
  );
}

window.ui = window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  defaultModelsExpandDepth: 0,
  // Nothing is sent elsewhere: no validator's badge, and no credentials are kept.
  validatorUrl: null,
  persistAuthorization: false,
  plugins: [{ wrapComponents: { responses: withSamples } }],
});
