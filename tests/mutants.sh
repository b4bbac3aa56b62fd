#!/bin/bash
# Mutation tests with cosmic-ray, in a copy of the working tree. Usage: tests/mutants.sh PYTHON COPY [MODULE...]
# The report of each module is COPY/MODULE.txt. See tests/mutants.md.
set -euo pipefail
python=$1 copy=$2 bin=$(dirname "$1")
shift 2

declare -A tests=(
  [models/card.py]=tests/models/test_card.py
  [models/contract.py]=tests/models/test_contract.py
  [models/directory.py]=tests/models/test_contract.py
  [models/files.py]=tests/models/test_files.py
  [models/noise.py]=tests/models/test_noise.py
  [models/philox.py]=tests/models/test_noise.py
  [models/seeds.py]=tests/models/test_seeds.py
  [service/batching/batcher.py]=tests/service/batching
  [service/batching/bulk_slots.py]=tests/service/batching/test_bulk_slots.py
  [service/batching/execution.py]=tests/service/batching
  [service/batching/model_repository.py]=tests/service/batching/test_model_repository.py
  [service/batching/queues.py]=tests/service/batching
  [service/server/rate_limiter.py]="tests/service/server/test_rate_limiter.py tests/service/server/test_rate_limiter_bounds.py"
)

rm -rf "$copy"
mkdir -p "$copy"
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory "$copy"
cd "$copy"
export PYTHONPATH=$PWD PYTHONDONTWRITEBYTECODE=1
for module in "${@:-${!tests[@]}}"; do
  name=${module//\//_}
  cat > "$name.toml" <<TOML
[cosmic-ray]
module-path = "$module"
timeout = 120.0
excluded-modules = []
test-command = "$python -m pytest -x -q -n 0 -p no:cacheprovider -p no:schemathesis ${tests[$module]}"

[cosmic-ray.distributor]
name = "local"

# One alternative for each operator is enough: all alternatives take ten times as long and find little more.
[cosmic-ray.filters.operators-filter]
exclude-operators = [
  "core/ReplaceBinaryOperator_(?!Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_Mul|BitAnd_BitOr|BitOr_BitAnd|BitXor_BitAnd|RShift_LShift|LShift_RShift).*",
  "core/ReplaceComparisonOperator_(?!Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is).*",
  "core/ReplaceUnaryOperator_(?!Not_).*",
]
TOML
  "$bin/cosmic-ray" init "$name.toml" "$name.sqlite"
  "$bin/cr-filter-operators" "$name.sqlite" "$name.toml"
  "$bin/cosmic-ray" exec "$name.toml" "$name.sqlite"
  "$bin/cr-report" --surviving-only --show-diff "$name.sqlite" | tee "$name.txt"
done
