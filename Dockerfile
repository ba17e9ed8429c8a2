# The workflow with its pinned environment. Results go where you mount them:
#
#   docker build --tag transience .
#   docker run --rm --volume "$PWD/results:/work/results" transience            # make smoke
#   docker run --rm --volume "$PWD/results:/work/results" transience sweep      # make
#
# Its steps are those of `make` on a fresh machine, which tests run; the image itself was not built by us.
FROM python:3.11-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /work
# The environment first, so that an edit of the code does not install it again
COPY envs envs
COPY Makefile .
RUN make .venv/.installed
COPY . .
ENTRYPOINT ["make"]
CMD ["smoke"]
