"""How a weight becomes one of sixteen numbers: five methods, each a step further than the last.

    round_to_nearest   each weight to the nearest point of its group's grid
    weighted           the grid moved to where the inputs are strong (importance matrix)
    awq                strong inputs' weights made larger before rounding (AWQ)
    gptq               each rounding error passed on to the weights not rounded yet (GPTQ)
    rotation           the whole model turned first, so that no channel stands out (QuaRot)

Each takes weights (outputs, inputs) and what is known about the inputs, and returns codes, scales
and offsets (grid.Quantized). Plain numpy, nothing hidden: these files are for reading.
"""
