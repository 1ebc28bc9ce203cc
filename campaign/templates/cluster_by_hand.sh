# Two machines by hand: one with cores, one with the microscope. Both see /shared and have the same
# versions of Python, Ray and probewise. Whoever reaches these ports with the token runs code there:
# keep them inside the laboratory's network.

# On both, once; the same secret on each:
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=/shared/secret/ray-token
export RAY_USAGE_STATS_ENABLED=0

# On the machine with the cores (here 10.0.0.1), where the campaign will run:
ray start --head --node-ip-address=10.0.0.1 --port=6379 --include-dashboard=false

# On the machine with the microscope; it offers one unit of "stem":
ray start --address=10.0.0.1:6379 --resources='{"stem": 1}'

# In the campaign file, the instrument asks for that unit; analysis and theory ask for nothing and go
# where processors are free:
#   workers:
#     stem: {type: my-stem, resources: {stem: 1}, timeout_s: 600}
#     fits: {type: my-analysis, resources: {CPU: 2}}

# On the machine with the cores:
probewise run campaign.yaml --address 10.0.0.1:6379 --out /shared/runs/first
probewise run --resume /shared/runs/first --address 10.0.0.1:6379   # after whatever happened

# When all is done, on both:
ray stop
