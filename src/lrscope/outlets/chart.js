const spec = JSON.parse(document.getElementById("spec").textContent);
const actions = { export: true, source: false, compiled: false, editor: false };
const options = {
  ast: true, renderer: "canvas", defaultStyle: false, tooltip: { disableDefaultStyle: true }, actions,
};
window.vegaEmbed("#chart", spec, options).then(() => {
  document.documentElement.dataset.drawn = "yes";
});
