/**
 * Mutations: the same weights, computed in another way or wrongly.
 *
 *   a model's lists ──▶ inF32, mutations ──▶ others, over the same weights
 *
 * A list of operations is data, so a mistake is a list in which something else stands. Each is one
 * that a test against llama.cpp has to notice.
 */

import type { Forward, Layer, Operation, Weight } from '../../daemon/core/models/forward.ts';

/** Anything that carries a model's lists, with its weights in a form of its own. */
interface Listed {
  readonly forward: Forward;
}

/** All products in mode A, as on an F32 GGUF of the model. */
export function inF32<Model extends Listed>(model: Model): Model {
  const widened = (weight: Weight): Weight => ({ ...weight, type: 'F32' });
  return mapLayers(model, (layer) => ({ ...layer, weights: layer.weights.map(widened) }));
}

type Mutation = <Model extends Listed>(model: Model) => Model;

export const mutations: Readonly<Record<string, Mutation>> = {
  'a window that is one longer': (model) =>
    mapOperations(model, (operation) =>
      operation.kind === 'attention' && operation.window > 0
        ? { ...operation, window: operation.window + 1 }
        : operation,
    ),
  'a window that is one shorter': (model) =>
    mapOperations(model, (operation) =>
      operation.kind === 'attention' && operation.window > 0
        ? { ...operation, window: operation.window - 1 }
        : operation,
    ),
  'no layer scalar': (model) => without(model, 'multiply', 'layer_output_scale.weight'),
  'the base of sliding layers in full ones': (model) =>
    withTables(model, (table) => ({ ...table, base: 1e4 })),
  'all pairs turn in full layers': (model) =>
    withTables(model, ({ width, base }) => ({ width, base })),
  'an epsilon of 1e-5': (model) =>
    mapOperations(model, (operation) =>
      operation.kind === 'norm' ? { ...operation, epsilon: Math.fround(1e-5) } : operation,
    ),
  'the router rounded to bfloat16': (model) =>
    mapLayers(model, (layer) => ({
      ...layer,
      weights: layer.weights.map((weight) =>
        weight.tensor.endsWith('.ffn_gate_inp.weight')
          ? { ...weight, type: 'BF16', isKeptF32: false }
          : weight,
      ),
    })),
  'no scales of the experts': (model) =>
    mapOperations(model, (operation) => {
      if (operation.kind !== 'route') return operation;
      const { scales: _, ...route } = operation;
      return route;
    }),
  'no scale of the router': (model) => without(model, 'multiply', 'ffn_gate_inp.scale'),
  'values with the norm of keys': (model) =>
    mapOperations(model, (operation, { operations }) => {
      const keys = operations.find(({ kind, ...other }) => kind === 'norm' && isKeys(other));
      const isValues = operation.kind === 'norm' && operation.into.startsWith('values');
      if (!isValues || keys?.kind !== 'norm' || keys.weight === undefined) return operation;
      return { ...operation, weight: keys.weight };
    }),
};

function isKeys(operation: object): boolean {
  return 'into' in operation && String(operation.into).startsWith('keys');
}

function mapLayers<Model extends Listed>(model: Model, change: (layer: Layer) => Layer): Model {
  const { front, layers, head } = model.forward;
  const forward: Forward = {
    ...model.forward,
    front: { ...front, layer: change(front.layer) },
    layers: layers.map(change),
    head: change(head),
  };
  return { ...model, forward };
}

function mapOperations<Model extends Listed>(
  model: Model,
  change: (operation: Operation, layer: Layer) => Operation,
): Model {
  return mapLayers(model, (layer) => ({
    ...layer,
    operations: layer.operations.map((operation) => change(operation, layer)),
  }));
}

function without<Model extends Listed>(model: Model, kind: 'multiply', tensor: string): Model {
  return mapLayers(model, (layer) => ({
    ...layer,
    operations: layer.operations.filter(
      (operation) => operation.kind !== kind || !operation.weight.endsWith(tensor),
    ),
  }));
}

function withTables<Model extends Listed>(
  model: Model,
  change: (full: Forward['tables'][number]) => Forward['tables'][number],
): Model {
  const tables = model.forward.tables.map((table) =>
    table.factors === undefined ? table : change(table),
  );
  return { ...model, forward: { ...model.forward, tables } };
}
