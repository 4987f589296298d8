"""`radepth evaluate --checkpoint DIR [--dataset NAME --data_dir DIR] --resolutions 416x128,...`."""

from radepth_jax.cli.cache import use_compilation_cache
from radepth_jax.cli.parser import Parser


def main(argv: list[str]) -> None:
    """Print and write the metrics table of one checkpoint."""
    parser = Parser("radepth evaluate", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="the --workdir of a training run")
    parser.add_argument("--dataset", help="a prepared data set; by default the one trained on")
    parser.add_argument("--data_dir", help="where it was prepared; by default as trained")
    parser.add_argument("--split", default="test")
    parser.add_argument("--resolutions", help="WxH,WxH,...; by default the training resolution")
    parser.add_argument("--crop", choices=("none", "garg"), help="by default as in the config")
    parser.add_argument("--row-prior", action="store_true", help="add the constant-per-row prior")
    parser.add_argument("--output", help="folder for results.csv, results.json and abs_rel.png")
    options = parser.parse_args(argv)

    use_compilation_cache()
    from radepth_jax import models
    from radepth_jax.data import EvaluationSource, open_dataset
    from radepth_jax.evaluate import evaluator, priors, report
    from radepth_jax.models.depth import check_resolution
    from radepth_jax.train.checkpoint import load_checkpoint
    from radepth_jax.train.config import parse_resolution
    from radepth_jax.train.loop import protocol_of
    from radepth_jax.train.state import variables_of

    state, config = load_checkpoint(options.checkpoint)
    if options.crop:
        config.evaluate.crop = options.crop
    networks = models.build(config.model)
    resolutions = [
        parse_resolution("--resolutions", text)
        for text in (options.resolutions or "{}x{}".format(*config.views.resolution)).split(",")
    ]
    for resolution in resolutions:
        check_resolution(resolution, networks.depth.stride)
    dataset = open_dataset(
        options.dataset or config.data.name, options.data_dir or config.data.data_dir
    )
    source = EvaluationSource(dataset, options.split)
    protocol = protocol_of(config)
    rows = evaluator.evaluate(
        variables_of(state),
        networks,
        source,
        resolutions,
        protocol=protocol,
        depth_range=(config.loss.min_depth, config.loss.max_depth),
        batch_size=config.evaluate.batch_size,
        model=f"step {int(state.step)}",
    )
    if options.row_prior:
        prior = priors.row_prior(EvaluationSource(dataset, config.data.train_split), protocol)
        rows.append(priors.evaluate_constant(prior, source, protocol=protocol, model="row prior"))
    report.print_table(rows, f"{dataset.name}, {options.split}")
    if options.output:
        for path in report.write_report(rows, options.output):
            print(path)
