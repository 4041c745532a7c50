"use strict";
// Draws the plots of the page from the outcome that it carries. Times in the outcome are
// milliseconds and microseconds, sizes bytes.
(() => {
  const outcome = JSON.parse(document.getElementById("outcome").textContent);
  const samples = outcome.samples;
  const seconds = samples.map((it) => it.at_ms / 1000);
  const HEIGHT = 240;
  const charts = [];

  document.documentElement.classList.add("scripted");

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Numbers with their units: three significant digits, as in the tables.
  const digits = (x) => {
    const size = Math.abs(x);
    const whole = Math.abs(x - Math.round(x)) < 1e-9;
    return x.toFixed(whole || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
  };
  const short = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  const scaled = (units, write = digits) => (x) => {
    if (x == null) return "–";
    if (x === 0) return "0";
    const fits = ([size]) => Math.abs(x) >= size * 0.9995;
    const [size, unit] = units.find(fits) ?? units[units.length - 1];
    return write(x / size) + (unit && `\u00a0${unit}`);
  };
  const TIMES = [[1e6, "s"], [1e3, "ms"], [1, "µs"], [1e-3, "ns"]];
  const BYTES = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]];
  const COUNTS = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];
  const micros = scaled(TIMES);
  const bytes = scaled(BYTES);
  const rough = scaled(COUNTS);
  // The same on an axis, where zeros at the end are noise.
  const onAxis = (units) => scaled(units, (x) => short(digits(x)));
  const percent = (x) => (x == null ? "–" : `${digits(x * 100)}\u00a0%`);
  const exact = (x) => (x == null ? "–" : x.toLocaleString("en"));
  const perSecond = (x) => (x == null ? "–" : `${rough(x)}/s`);

  // Stretches of one phase: each sample tells what went on before it.
  const stretches = [];
  samples.forEach((sample, at) => {
    const last = stretches[stretches.length - 1];
    const from = at > 0 ? seconds[at - 1] : Math.max(0, seconds[0] - (seconds[1] - seconds[0] || 0));
    if (last && last.phase === sample.phase) last.until = seconds[at];
    else stretches.push({ phase: sample.phase, from, until: seconds[at] });
  });
  const shade = (chart) => {
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const { phase, from, until } of stretches) {
      const left = chart.valToPos(from, "x", true);
      ctx.fillStyle = style(`--shade-${phase.replace("_", "-")}`);
      ctx.fillRect(left, bbox.top, chart.valToPos(until, "x", true) - left, bbox.height);
    }
    ctx.restore();
  };

  // Axes. Labels that stand too close on a logarithmic scale are left out.
  const axis = (more) => ({
    stroke: style("--soft"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: style("--grid"), width: 1 },
    ticks: { stroke: style("--line"), width: 1, size: 5 },
    ...more,
  });
  const valueAxis = (show, more) => axis({
    size: (chart, values) => {
      const longest = (values ?? []).reduce((most, it) => Math.max(most, (it ?? "").length), 0);
      return Math.max(40, longest * 7 + 16);
    },
    values: (_, splits) => splits.map((it) => (it == null ? "" : show(it))),
    ...more,
  });
  const timeAxis = () => axis({
    size: 32,
    space: 56,
    values: (_, splits) => splits.map((it) => `${it}\u00a0s`),
  });
  // The decades of a logarithmic scale, with 2 and 5 between where there are few of them.
  const decades = (_, __, least, most) => {
    const low = Math.floor(Math.log10(least)), high = Math.ceil(Math.log10(most));
    const steps = Math.log10(most / least) <= 2.4 ? [1, 2, 5] : [1];
    const all = [];
    for (let power = low; power <= high; power++) {
      for (const step of steps) all.push(step * 10 ** power);
    }
    return all.filter((it) => it >= least * 0.999 && it <= most * 1.001);
  };
  // From 1, 2 or 5 of a decade below all values to one above.
  const step = (x, round) => {
    const decade = 10 ** Math.floor(Math.log10(x));
    const steps = [1, 2, 5, 10].map((it) => it * decade);
    return round < 0 ? steps.findLast((it) => it <= x * 1.001) : steps.find((it) => it >= x * 0.999);
  };
  const logarithmic = {
    distr: 3,
    range: (_, least, most) => {
      if (least == null || !(least > 0)) return [1, 1000];
      const low = step(least, -1), high = step(most, 1);
      return [low, high > low ? high : low * 10];
    },
  };
  const fromZero = { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] };

  const line = (label, color, show, more) => ({
    label,
    stroke: style(color),
    width: 1.75,
    points: { show: false },
    value: (_, it) => show(it),
    ...more,
  });

  // The legend shows each line as it is drawn.
  const legend = {
    markers: {
      width: 2,
      fill: () => "transparent",
      dash: (chart, at) => (chart.series[at].dash ? "dashed" : "solid"),
    },
  };
  const draw = (id, data, options) => {
    const place = document.getElementById(`plot-${id}`);
    if (!place) return;
    // Values stand in the legend while something is pointed at: there is none of the whole plot.
    const pointed = (chart) => chart.root.classList.toggle("pointed", chart.cursor.idx != null);
    const hooks = { ...options.hooks, setCursor: [pointed] };
    const chart = new uPlot(
      { width: Math.max(place.clientWidth, 240), height: HEIGHT, legend, ...options, hooks },
      data,
      place,
    );
    charts.push({ chart, place });
  };
  const overTime = (id, series, columns, axes, scales) => {
    const x = { label: "time", value: (_, it) => (it == null ? "–" : `${it.toFixed(1)}\u00a0s`) };
    draw(id, [seconds, ...columns], {
      scales: { x: { time: false, range: (_, from, to) => [from === seconds[0] ? 0 : from, to] }, ...scales },
      series: [x, ...series],
      axes: [timeAxis(), ...axes],
      cursor: { sync: { key: "time" }, drag: { x: true, y: false } },
      hooks: { drawClear: [shade] },
    });
  };

  // Labels that would run into the one before them are left out.
  const apart = (chart, splits) => {
    let last = -Infinity;
    return splits.map((at) => {
      const place = chart.valToPos(at, "x");
      if (place - last < 58) return null;
      last = place;
      return at;
    });
  };
  const curve = () => {
    const most = Math.max(...outcome.latency_curve.map(([at]) => at).filter((at) => at < 100), 0);
    const far = 100 / (100 - most);
    const points = outcome.latency_curve.map(([at, us]) => [at < 100 ? 100 / (100 - at) : far * 2, us]);
    const marks = [50, 90, 99, 99.9, 99.99, 99.999, 99.9999];
    const name = (x) => (x > far ? "max" : `${+(100 - 100 / x).toPrecision(6)}\u00a0%`);
    draw("curve", [points.map(([x]) => x), points.map(([, us]) => Math.max(us, 1))], {
      scales: { x: { time: false, distr: 3, range: [1, far * 2] }, y: logarithmic },
      series: [
        { label: "within", value: (_, it) => (it == null ? "–" : name(it)) },
        line("latency", "--series-1", micros, { fill: `color-mix(in srgb, ${style("--series-1")} 12%, transparent)` }),
      ],
      axes: [
        axis({
          size: 32,
          splits: () => marks.map((at) => 100 / (100 - at)).filter((x) => x <= far * 2),
          filter: apart,
          values: (_, splits) => splits.map((x) => (x == null ? "" : name(x))),
        }),
        valueAxis(onAxis(TIMES), { splits: decades, filter: (_, splits) => splits }),
      ],
    });
  };

  const latency = () => {
    const column = (key) => samples.map((it) => (it.latency_us ? Math.max(it.latency_us[key], 1) : null));
    overTime(
      "latency",
      [
        line("p50", "--series-1", micros),
        line("p99", "--series-2", micros),
        line("max", "--series-3", micros, { width: 1, dash: [4, 3] }),
      ],
      ["p50", "p99", "max"].map(column),
      [valueAxis(onAxis(TIMES), { splits: decades, filter: (_, splits) => splits })],
      { y: logarithmic },
    );
  };

  const rates = () => overTime(
    "rates",
    [
      line("deliveries", "--series-1", perSecond, { scale: "y" }),
      line("published", "--series-2", perSecond, { scale: "messages", dash: [5, 3] }),
    ],
    [samples.map((it) => it.delivered_per_s), samples.map((it) => it.published_per_s)],
    [
      valueAxis(onAxis(COUNTS), { stroke: style("--series-1") }),
      valueAxis(onAxis(COUNTS), { scale: "messages", side: 1, grid: { show: false }, stroke: style("--series-2") }),
    ],
    // Deliveries are often a multiple of the messages: with more room the lines do not coincide.
    { y: fromZero, messages: { range: (_, __, most) => [0, most > 0 ? most * 1.4 : 1] } },
  );

  const open = () => overTime(
    "open",
    [line("open", "--series-1", exact)],
    [samples.map((it) => it.open)],
    [valueAxis(onAxis(COUNTS))],
    { y: fromZero },
  );

  const cpu = () => {
    const hasServer = samples.some((it) => it.server_cpu != null);
    const server = hasServer ? [line("server", "--series-1", percent)] : [];
    const column = hasServer ? [samples.map((it) => it.server_cpu ?? null)] : [];
    overTime(
      "cpu",
      [...server, line("load", "--series-2", percent, { dash: [5, 3] })],
      [...column, samples.map((it) => it.load_cpu)],
      [valueAxis(percent)],
      { y: fromZero },
    );
  };

  // Memory is told in powers of two; so are its grid lines.
  const memorySplits = (_, __, least, most) => {
    let step = 1024;
    while ((most - least) / step > 6) step *= 2;
    const all = [];
    for (let at = Math.ceil(least / step) * step; at <= most; at += step) all.push(at);
    return all;
  };
  const memory = () => overTime(
    "memory",
    [line("resident", "--series-1", bytes)],
    [samples.map((it) => it.server_rss_bytes ?? null)],
    [valueAxis(onAxis(BYTES), { splits: memorySplits })],
    { y: fromZero },
  );

  const floor = () => {
    const pairs = outcome.floor?.pairs ?? [];
    const points = (color) => ({ show: true, size: 7, stroke: style(color), fill: style("--surface") });
    draw("floor", [pairs.map((_, at) => at + 1), pairs.map((it) => it[0]), pairs.map((it) => it[1])], {
      scales: { x: { time: false, range: [0.5, pairs.length + 0.5] }, y: fromZero },
      series: [
        { label: "pair", value: (_, it) => it ?? "–" },
        line("server", "--series-1", micros, { points: points("--series-1") }),
        line("floor", "--series-2", micros, { points: points("--series-2"), dash: [5, 3] }),
      ],
      axes: [
        axis({ size: 32, incrs: [1, 2, 5, 10, 20, 50, 100], space: 30, values: (_, splits) => splits }),
        valueAxis(onAxis(TIMES)),
      ],
    });
  };

  // Each rate that a search tried: held ones filled, with the bound that decides.
  const search = () => {
    const steps = [...(outcome.search?.steps ?? [])].sort((a, b) => a.per_s - b.per_s);
    const p99 = (it) => (it.latency_us.max > 0 ? Math.max(it.latency_us.p99, 1) : null);
    const bound = outcome.scenario.search?.p99_us ?? null;
    const points = (color, fill) => ({ show: true, size: 9, width: 2, stroke: style(color), fill: style(fill) });
    const none = { paths: () => null };
    const rates = steps.map((it) => it.per_s);
    const range = (_, least, most) => (least > 0 ? [least / 1.3, most * 1.3] : [1, 10]);
    draw("search", [rates, steps.map((it) => (it.held ? p99(it) : null)), steps.map((it) => (it.held ? null : p99(it))), rates.map(() => bound)], {
      scales: { x: { time: false, distr: 3, range }, y: logarithmic },
      series: [
        { label: "rate", value: (_, it) => perSecond(it) },
        line("held", "--good", micros, { ...none, points: points("--good", "--good") }),
        line("not held", "--bad", micros, { ...none, points: points("--bad", "--surface") }),
        line("bound", "--soft", micros, { dash: [5, 3], width: 1 }),
      ],
      axes: [
        axis({ size: 32, splits: decades, filter: apart, values: (_, splits) => splits.map((it) => (it == null ? "" : `${onAxis(COUNTS)(it)}/s`)) }),
        valueAxis(onAxis(TIMES), { splits: decades, filter: (_, splits) => splits }),
      ],
    });
  };

  const drawAll = () => {
    for (const { chart } of charts.splice(0)) chart.destroy();
    for (const plot of [curve, latency, rates, search, open, cpu, memory, floor]) plot();
  };
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    for (const { chart, place } of charts) {
      chart.setSize({ width: Math.max(place.clientWidth, 240), height: HEIGHT });
    }
  });

  const save = document.getElementById("save");
  save.addEventListener("click", () => {
    const text = JSON.stringify(outcome, null, 2);
    save.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  });
})();
