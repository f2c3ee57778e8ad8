WEBUI_DIR="/mnt/DATA/AI/stable-diffusion-webui/"
MODEL_DIR="/mnt/DATA/AI/stable-diffusion-models/Stable-diffusion/"
TRAIN_DIR="/mnt/DATA/AI/sd-scripts"
function training_Kohya_lora {
    cd "$TRAIN_DIR" || {
        echo "Folder not found or not accessible."; exit 1
    }
    local training_set="penny"
    local ckpt="$MODEL_DIR/animefinal-full-pruned.ckpt"
    local image_dir="$TRAIN_DIR/SETS/$training_set/"
    local reg_dir="$TRAIN_DIR/SETS/$training_set/reg/"
    local output="/mnt/DATA/AI/stable-diffusion-models/LORA/"
    local learning_rate="0.0001"
    local text_encoder_lr="0.00005"
    local train_batch_size="2"
    local num_epochs="6"
    local save_every_x_epochs="2"
    local network_dim="160"
    local scheduler="cosine_with_restarts"
    . venv/bin/activate
    accelerate launch --num_cpu_threads_per_process 8 train_network.py \
    --network_module="networks.lora" \
    --pretrained_model_name_or_path="$ckpt" --train_data_dir="$image_dir" --reg_data_dir="$reg_dir" --output_dir="$output" \
    --output_name="${training_set}_last_e${num_epochs}_n${network_dim}" \
    --caption_extension=".txt" --shuffle_caption \
    --prior_loss_weight=1 \
    --network_alpha="$network_dim" \
    --resolution=512 \
    --enable_bucket --min_bucket_reso=320 --max_bucket_reso=768 \
    --train_batch_size="$train_batch_size" \
    --gradient_accumulation_steps=1 \
    --learning_rate="$learning_rate" --unet_lr="$learning_rate" --text_encoder_lr="$text_encoder_lr" \
    --max_train_epochs="$num_epochs" \
    --mixed_precision="fp16" --save_precision="fp16" \
    --use_8bit_adam --xformers \
    --save_every_n_epochs="$save_every_x_epochs" \
    --save_model_as=safetensors \
    --clip_skip=2 \
    --seed=420 \
    --flip_aug --color_aug --face_crop_aug_range="2.0,4.0" \
    --network_dim="$network_dim" \
    --max_token_length=150 \
    --lr_scheduler="$scheduler" \
    --training_comment="LORA:$training_set"
