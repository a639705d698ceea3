// Draws each chart once more beside its SVG, to be pointed at: the visible ones first, the rest while nothing else is to do.
// What cannot be drawn stays as it is.
(() => {
  const { look, specs } = JSON.parse(document.getElementById("drawing").textContent);
  const options = {
    actions: false,
    ast: true, // expressions are interpreted: the page's policy allows no eval
    config: look,
    defaultStyle: false,
    mode: "vega-lite",
    renderer: "svg",
    tooltip: { disableDefaultStyle: true, theme: "page" },
  };

  const linear = (spec) => {
    const plain = structuredClone(spec);
    for (const { encoding } of plain.layer ?? []) {
      if (encoding?.y?.scale?.type !== "log") continue;
      encoding.y.scale = { zero: true };
      encoding.y.axis = { ...encoding.y.axis, values: null, tickCount: 6 };
    }
    return plain;
  };

  const draw = async (plot, spec = specs[plot.dataset.chart]) => {
    const live = plot.querySelector(".live");
    plot.dataset.state = "drawing";
    try {
      await vegaEmbed(live, spec, options);
      live.querySelector("svg").setAttribute("aria-hidden", "true"); // the plot's label says what it shows
      plot.dataset.live = "";
      plot.dataset.state = "drawn";
    } catch (error) {
      plot.dataset.state = "failed";
      console.error(error);
    }
  };

  const plots = [...document.querySelectorAll(".plot")];
  const isWaiting = (plot) => plot.dataset.state === undefined;
  const seen = new IntersectionObserver(
    (entries) => entries.filter((e) => e.isIntersecting && isWaiting(e.target)).forEach((e) => draw(e.target)),
    { rootMargin: "400px" },
  );
  plots.forEach((plot) => seen.observe(plot));

  const idle = window.requestIdleCallback ?? ((then) => setTimeout(then, 50));
  const drawNext = async () => {
    const plot = plots.find(isWaiting);
    if (!plot) return;
    await draw(plot);
    idle(drawNext);
  };
  idle(drawNext);

  for (const button of document.querySelectorAll(".toggle")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const plot = button.closest("figure").querySelector(".plot");
      const pressed = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(pressed));
      const spec = specs[plot.dataset.chart];
      draw(plot, pressed ? linear(spec) : spec);
    });
  }
})();
