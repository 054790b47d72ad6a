// A batch in shards, on any executor of Nextflow. The folders must be seen by all nodes under the same path.
//
//   nextflow run main.nf --studies /data/studies --results /data/results --shards 100 -profile slurm
//   cardiacseg batch-merge /data/results

params.studies = null
params.results = null
params.shards = 10
params.options = ''  // further options of 'cardiacseg batch'

process SEGMENT {
    tag "shard ${index} of ${params.shards}"
    cpus 2
    memory '3 GB'
    errorStrategy 'retry'
    maxRetries 2

    input:
    val index

    // Exit code 6: the shard is complete, and its table names the cases that failed.
    script:
    """
    cardiacseg batch '${params.studies}' -o '${params.results}' --shard '${index}/${params.shards}' \\
        --jobs ${task.cpus} --quiet ${params.options} || [ \$? -eq 6 ]
    """
}

workflow {
    if (!params.studies || !params.results) {
        error 'expected --studies FOLDER and --results FOLDER'
    }
    SEGMENT(Channel.of(1..params.shards))
}
