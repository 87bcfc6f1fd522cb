"""The one table of parts: short name -> where it lives. Nothing is imported before it is asked for."""

from __future__ import annotations

STEPS: dict[str, str] = {
    # measuring
    "language": "filters.language.language:Language",
    "gopher_quality": "filters.heuristics.gopher:GopherQuality",
    "gopher_repetition": "filters.heuristics.gopher:GopherRepetition",
    "c4_quality": "filters.heuristics.c4:C4Quality",
    "fineweb_quality": "filters.heuristics.fineweb:FineWebQuality",
    "refinedweb_lines": "filters.heuristics.refinedweb:RefinedWebLines",
    "length": "filters.heuristics.length:Length",
    "pii": "filters.privacy.pii:Pii",
    "url": "filters.lists.url:Url",
    "patterns": "filters.heuristics.patterns:Patterns",
    "terms": "filters.lists.terms:Terms",
    "toxicity": "filters.lists.terms:Toxicity",
    "decontaminate": "filters.contamination.decontaminate:Decontaminate",
    "datatrove": "filters.conformance.datatrove_step:DatatroveStep",
    # gathering
    "paraphrases": "filters.contamination.paraphrases:Paraphrases",
    "unique_ids": "filters.dedup.unique_ids:UniqueIds",
    "line_dedup": "filters.dedup.line_dedup:LineDedup",
    "paragraph_dedup": "filters.dedup.line_dedup:ParagraphDedup",
    "substring_dedup": "filters.dedup.substring_dedup:SubstringDedup",
    "exact_dedup": "filters.dedup.exact_dedup:ExactDedup",
    "minhash_dedup": "filters.dedup.minhash:MinHashDedup",
    "label": "filters.labels.label:Label",
    "quality": "filters.classifier.quality:Quality",
    "per_language": "filters.heuristics.per_language:PerLanguage",
    "vote": "filters.classifier.vote:Vote",
    "fasttext": "filters.classifier.fasttext:FastText",
    "perplexity": "filters.classifier.perplexity:Perplexity",
    "transformer": "filters.classifier.transformer:Transformer",
    "topics": "filters.topics.topics:Topics",
    # datatrove's definitions, pinned; presets of several steps stand in filters/conformance/chains.py
    "gopher_quality@datatrove-0.10": "filters.conformance.gopher:GopherQuality",
    "gopher_repetition@datatrove-0.10": "filters.conformance.gopher:GopherRepetition",
    "c4_quality@datatrove-0.10": "filters.conformance.c4:C4Quality",
    "c4_paragraph@datatrove-0.10": "filters.conformance.c4:C4Paragraph",
    "c4_badwords@datatrove-0.10": "filters.conformance.badwords:C4BadWords",
    "fineweb_quality@datatrove-0.10": "filters.conformance.fineweb:FineWebQuality",
    "url@datatrove-0.10": "filters.conformance.url:Url",
    "pii@datatrove-0.10": "filters.conformance.pii:Pii",
    "minhash_dedup@datatrove-0.10": "filters.conformance.minhash:MinHashDedup",
    # making
    "verified_tasks": "synth.verified_tasks:VerifiedTasks",
    "rephrase": "synth.rephrase:Rephrase",
    "document_tasks": "synth.document_tasks:DocumentTasks",
    "code_tasks": "synth.code_tasks:CodeTasks",
}

READERS: dict[str, str] = {
    "parquet": "pipeline.sources.tables.parquet:ParquetReader",
    "jsonl": "pipeline.sources.texts.jsonl:JsonlReader",
    "json": "pipeline.sources.texts.json_files:JsonReader",
    "csv": "pipeline.sources.tables.csv_files:CsvReader",
    "arrow": "pipeline.sources.tables.arrow_files:ArrowReader",
    "text": "pipeline.sources.texts.text:TextReader",
    "hf": "pipeline.sources.tables.hub:HubReader",
    "html": "pipeline.sources.pages.page_files:HtmlReader",
    "pdf": "pipeline.sources.pages.page_files:PdfReader",
    "warc": "pipeline.sources.pages.warc:WarcReader",
    "installed_docs": "pipeline.sources.installed.installed_docs:InstalledDocsReader",
}
