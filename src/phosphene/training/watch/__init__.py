"""Names what goes wrong in a run, at once, and says what to do.

observation   what is told of a run          history   the little of it that is kept
watch         asks the detectors, says each thing once until it clears
gradients, layers, pipeline, rate, averages, pictures, copying   detectors: functions of the history
probe         what a step tells              origin    where the first number that is not finite arose
"""
