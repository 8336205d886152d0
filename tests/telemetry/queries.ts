import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parser } from "@prometheus-io/lezer-promql";
import { parse } from "yaml";

const folder = join(import.meta.dirname, "../../infra/grafana");

interface Dashboard {
  panels: { title: string; targets: { expr: string; legendFormat: string }[] }[];
}
interface Rules {
  groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
}

/** A series that a query reads, with every label that the query names for it. */
export interface Wanted {
  by: string;
  series: string;
  labels: string[];
}

/** Every query of the dashboards and alerts. */
function queries(): { by: string; expr: string; shown: string }[] {
  const panels = globSync("dashboards/*.json", { cwd: folder }).flatMap((file) =>
    (JSON.parse(readFileSync(join(folder, file), "utf8")) as Dashboard).panels.flatMap(
      ({ title, targets }) =>
        targets.map(({ expr, legendFormat }) => ({
          by: `${file}: ${title}`,
          // Grafana puts a length of time there.
          expr: expr.replaceAll("$__rate_interval", "1m"),
          shown: legendFormat.replaceAll(/{{(\w+)}}/g, "$labels.$1 "),
        })),
    ),
  );
  const { groups } = parse(readFileSync(join(folder, "alerts.yaml"), "utf8")) as Rules;
  const alerts = groups.flatMap(({ rules }) =>
    rules.map(({ alert, expr, annotations: { summary } }) => ({ by: alert, expr, shown: summary })),
  );
  return [...panels, ...alerts];
}

/** What dashboards and alerts need to be sent. Throws for a query that Prometheus could not parse. */
export function wanted(): Wanted[] {
  return queries().flatMap(({ by, expr, shown }) => {
    const series: string[] = [];
    const labels = [...shown.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label!);
    parser.parse(expr).iterate({
      enter: ({ type, from, to, node }) => {
        const text = expr.slice(from, to);
        if (type.isError) throw new Error(`${by}: ${expr} cannot be read at ${from}`);
        if (type.name === "LabelName") labels.push(text);
        if (type.name === "Identifier" && node.parent?.name === "VectorSelector") series.push(text);
      },
    });
    const ofAll = labels.filter((label) => label !== "le");
    return series.map((name) => ({ by, series: name, labels: ofAll }));
  });
}
