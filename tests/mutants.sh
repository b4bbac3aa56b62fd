#!/bin/bash
# Mutation tests with cosmic-ray, in a copy of the working tree. Usage: tests/mutants.sh PYTHON COPY [MODULE...]
# The report of each module is COPY/MODULE.txt. See tests/mutants.md.
set -euo pipefail
python=$1 copy=$2 bin=$(dirname "$1")
shift 2

# The smallest set of tests that covers the module. Mutants that survive these tests run again with all tests of the folder.
batching=tests/service/batching places=tests/service/places
repository=$(echo $batching/test_{model_repository_state,readiness,retired_versions}.py)
declare -A tests=(
  [models/card.py]="--noconftest tests/models/test_card.py"
  [models/card_part.py]="--noconftest tests/models/test_card.py"
  [models/classifier.py]="--noconftest tests/models/test_classifier.py"
  [models/columns.py]="--noconftest tests/models/test_columns.py"
  [models/contract.py]="--noconftest tests/models/test_contract.py -k 'not shipped and not recipe'"
  [models/directory.py]="--noconftest tests/models/test_directory.py"
  [models/errors.py]="--noconftest tests/models/test_errors.py"
  [models/files.py]="--noconftest tests/models/test_files.py"
  [models/grid.py]="--noconftest tests/models/test_grid.py"
  [models/installation.py]="--noconftest tests/models/test_installation.py"
  [models/neighbours.py]="--noconftest tests/models/test_card.py"
  [models/noise.py]="--noconftest tests/models/test_noise.py"
  [models/philox.py]="--noconftest tests/models/test_noise.py"
  [models/places.py]="--noconftest tests/models/test_places.py"
  [models/provenance.py]="--noconftest tests/models/test_card.py"
  [models/reference.py]="--noconftest tests/models/test_reference.py"
  [models/runtime/bound_session.py]="--noconftest tests/models/test_bound_session.py"
  [models/runtime/forks.py]="tests/python/test_generator.py -k fork"
  [models/runtime/generator_file.py]="--noconftest tests/models/test_generator_file.py"
  [models/runtime/generator_session.py]="--noconftest tests/models/test_generator_session.py"
  [models/runtime/memory.py]="--noconftest tests/models/test_memory.py"
  [models/runtime/processors.py]="--noconftest tests/models/test_provider.py"
  [models/runtime/provider.py]="--noconftest tests/models/test_provider.py"
  [models/runtime/reference.py]="--noconftest tests/models/test_reference_runs.py"
  [models/runtime/session.py]="--noconftest tests/models/test_session.py"
  [models/seeds.py]="--noconftest tests/models/test_seeds.py"
  [models/table.py]="--noconftest tests/models/test_table.py"
  [models/training_curve.py]="--noconftest tests/models/test_card.py"
  [service/batching/batcher.py]="$batching/test_batcher.py $batching/test_batcher_state_machine.py"
  [service/batching/bulk_slots.py]="--noconftest $batching/test_bulk_slots.py"
  [service/batching/execution.py]="--noconftest $batching/test_execution.py"
  [service/batching/generator_follower.py]="--noconftest $repository"
  [service/batching/generator_leader.py]="--noconftest $batching/test_generator_leader.py"
  [service/batching/generator_opener.py]="--noconftest $batching/test_generator_opener.py"
  [service/batching/local_leader.py]="--noconftest $repository"
  [service/batching/model_repository.py]="--noconftest $repository"
  [service/batching/other_files.py]="--noconftest $batching/test_other_files.py"
  [service/batching/place_scanner.py]="--noconftest $batching/test_place_scanner.py"
  [service/batching/place_states.py]="--noconftest $batching/test_place_states.py"
  [service/batching/queues.py]="--noconftest $batching/test_queues.py"
  [service/batching/readiness.py]="--noconftest $repository"
  [service/batching/retired_versions.py]="--noconftest $batching/test_retired_versions.py"
  [service/places/aliases.py]="$places/test_aliases.py"
  [service/places/download_cache.py]="$places/test_download_cache.py"
  [service/places/file_systems.py]="$places/test_file_systems.py"
  [service/places/folder_place.py]="$places/test_folders.py"
  [service/places/object_store.py]="$places/test_file_systems.py"
  [service/places/present_versions.py]="$places/test_aliases.py"
  [service/places/remote_place.py]="$places/test_following.py"
  [service/places/view.py]="$places/test_view.py"
  [service/server/rate_limiter.py]="--noconftest tests/service/server/test_rate_limiter.py tests/service/server/test_rate_limiter_bounds.py"
)

# Usage: configure NAME MODULE SECONDS TESTS
configure() {
  cat > "$1.toml" <<TOML
[cosmic-ray]
module-path = "$2"
timeout = $3.0
excluded-modules = []
test-command = "-x -q -p no:cacheprovider -p pytest_timeout --timeout-method=thread $4"

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
}

rm -rf "$copy"
mkdir -p "$copy"
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory "$copy"
cd "$copy"
export PYTHONPATH=$PWD
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1  # plugins that the tests do not need take half a second per mutant
ulimit -v 8000000  # KiB: a mutant that allocates without end fails soon
for module in "${@:-${!tests[@]}}"; do
  name=${module//\//_} few=${tests[$module]:?no tests for this module} folder=$(dirname "tests/$module")
  "$python" -m pytest -x -q -p no:cacheprovider -p pytest_timeout -m "not slow" "$folder"  # must pass without a mutation
  configure "$name" "$module" 40 "--timeout=15 $few"
  "$bin/cosmic-ray" init "$name.toml" "$name.sqlite"
  "$bin/cr-filter-operators" "$name.sqlite" "$name.toml"
  "$python" -m tests.mutants "$name.toml" "$name.sqlite"
  "$bin/cr-report" --surviving-only "$name.sqlite" | tail -1
  "$python" -c "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute(sys.argv[2])" \
    "$name.sqlite" "DELETE FROM work_results WHERE test_outcome = 'SURVIVED'"
  configure "$name" "$module" 120 "-m 'not slow' $folder"
  "$python" -m tests.mutants "$name.toml" "$name.sqlite"  # runs only mutants without a result
  "$bin/cr-report" --surviving-only --show-diff "$name.sqlite" | tee "$name.txt"
done
