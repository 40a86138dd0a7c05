// What every page does with a picture: its theme, its width, how it is embedded.

// The room beside a plotting area for its axis and for the names of lanes or tensors.
const MARGIN = 185;

function fit(spec, room) {
  if (spec.hconcat) {
    const spacing = spec.spacing ?? 20;
    const width = Math.floor((room - 90 - spacing * (spec.hconcat.length - 1)) / spec.hconcat.length);
    for (const column of spec.hconcat) column.spec.width = Math.max(96, Math.min(420, width));
  } else if (spec.concat) {
    const named = spec.concat.some((panel) => panel.layer.some((layer) => layer.encoding?.x?.value === "width"));
    const [least, margin] = spec.columns > 2 ? [140, named ? 155 : 60] : [240, MARGIN];
    spec.columns = Math.max(1, Math.min(spec.columns, Math.floor(room / (least + margin))));
    const width = Math.floor(room / spec.columns - margin);
    for (const panel of spec.concat) panel.width = Math.max(140, Math.min(480, width));
  } else {
    spec.width = Math.max(200, Math.min(900, room - MARGIN + 15));
  }
}

// A picture in a theme, as wide as there is room.
function specification(picture, dark, room) {
  const spec = structuredClone(picture.spec);
  if (dark) {
    for (const [path, value] of picture.dark) {
      const last = path.length - 1;
      path.slice(0, last).reduce((at, key) => at[key], spec)[path[last]] = value;
    }
  }
  spec.config.background = "transparent";
  spec.config.padding = { left: 2, right: 6, top: 4, bottom: 4 };
  spec.config.legend.columns = room < 560 ? 3 : 6;
  fit(spec, room);
  return spec;
}

// Interpreted, not compiled, so that no policy has to allow evaluated code; and nothing that leaves the page.
function embedding(name) {
  return {
    ast: true,
    defaultStyle: false,
    renderer: "canvas",
    tooltip: { disableDefaultStyle: true },
    downloadFileName: name,
    actions: { export: true, source: false, compiled: false, editor: false },
  };
}
