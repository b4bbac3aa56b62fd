// What dashboard.json may say, for schema.sh: Grafana's own types, with those of its panels where it leaves them open.
import type { Dashboard, DataSourceRef, FieldConfig, Panel, RowPanel } from "@grafana/schema/dist/types/raw/dashboard/x/dashboard_types.gen";
import type { Options as Stat } from "@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type { Options as TimeSeries, FieldConfig as Line } from "@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

interface Query {
  refId: string;
  datasource: DataSourceRef;
  expr: string;
  legendFormat: string;
}

type Shown<Type, Options, Custom> = Omit<Panel, "type" | "options" | "fieldConfig" | "targets"> & {
  type: Type;
  options: Options;
  targets: Query[];
  fieldConfig: { defaults: Omit<FieldConfig, "custom"> & { custom?: Custom }; overrides: never[] };
};

export type SeedmintDashboard = Omit<Dashboard, "panels"> & {
  panels: (Shown<"stat", Stat, never> | Shown<"timeseries", TimeSeries, Line> | RowPanel)[];
};
