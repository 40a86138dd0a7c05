const packed = document.getElementById("vega");
if (packed !== null) {
  const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const vega = document.createElement("script");
  vega.textContent = await new Response(stream).text();
  document.head.append(vega);
}
const spec = JSON.parse(document.getElementById("spec").textContent);
const actions = { export: true, source: false, compiled: false, editor: false };
const options = {
  ast: true, renderer: "canvas", defaultStyle: false, tooltip: { disableDefaultStyle: true }, actions,
};
window.vegaEmbed("#chart", spec, options).then(() => {
  document.documentElement.dataset.drawn = "yes";
});
