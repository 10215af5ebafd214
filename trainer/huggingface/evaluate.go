package huggingface

import (
	"fmt"

	"github.com/etastar/etastar/trainer/rundir"
)

// openCompass is a configuration that scores the model on MMLU (arXiv 2009.03300) and
// CMMLU (arXiv 2306.09212) by perplexity of the answers, as base models are. The names
// of the data sets are those of OpenCompass 0.2 and later.
func openCompass(run rundir.Summary, c rundir.Checkpoint) string {
	return fmt.Sprintf(`# Scores this model on MMLU and CMMLU with OpenCompass (pip install opencompass):
#
#     opencompass opencompass.py
#
# What it writes to outputs/…/summary/summary_*.csv, etastar reads back with load; several
# models in one file, or several files in one folder, are compared by score.
import os

from mmengine.config import read_base

with read_base():
    from opencompass.configs.datasets.cmmlu.cmmlu_ppl_041cbf import cmmlu_datasets
    from opencompass.configs.datasets.mmlu.mmlu_ppl_ac766d import mmlu_datasets
    from opencompass.configs.summarizers.groups.cmmlu import cmmlu_summary_groups
    from opencompass.configs.summarizers.groups.mmlu import mmlu_summary_groups

from opencompass.models import HuggingFaceBaseModel

datasets = [*mmlu_datasets, *cmmlu_datasets]
summarizer = dict(
    dataset_abbrs=["mmlu", "cmmlu"],
    summary_groups=[*mmlu_summary_groups, *cmmlu_summary_groups],
)
models = [
    dict(
        type=HuggingFaceBaseModel,
        abbr=%q,
        path=os.environ.get("ETASTAR_MODEL", "."),
        max_seq_len=%d,
        max_out_len=16,
        batch_size=8,
        run_cfg=dict(num_gpus=1),
    )
]
`, fmt.Sprintf("%s-step%d", run.Config.Name(), c.Step), run.Config.Shape.Context)
}

// lmDeploy is the command that serves the model.
func lmDeploy(run rundir.Summary) string {
	return fmt.Sprintf(`#!/bin/sh
# Serves this model with LMDeploy (pip install lmdeploy), on this machine alone, with
# the interface of OpenAI at http://127.0.0.1:23333/v1.
cd "$(dirname "$0")" || exit 1
exec lmdeploy serve api_server . --model-name %s --backend pytorch --session-len %d --server-name 127.0.0.1 --server-port 23333 "$@"
`, run.Config.Name(), run.Config.Shape.Context)
}
